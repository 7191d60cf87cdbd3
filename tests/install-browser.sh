#!/bin/sh
# Installs a headless Chromium, in which the html report is tested. Where it
# cannot be had, those tests say that they are skipped.
set -u
for name in chromium-headless-shell chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=300 chromium-headless-shell >/dev/null 2>&1 ||
    echo "install-browser.sh: no headless Chromium; the html report is not tested by clicking" >&2
exit 0
