group_by(.place) | map({place: .[0].place, count: length, total: (map(.amount) | add), names: (map(.name) | unique | length)})
