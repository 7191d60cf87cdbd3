/* umm_malloc as it comes: best fit, no checks, no figures. */
