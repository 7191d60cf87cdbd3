set -eu
jq -n '[range(20000) | {id: ., name: "item \(. * 7 % 1009)", tags: ["a", "b\(. % 5)"]}]' >items.json
jq -c 'group_by(.name) | map({name: .[0].name, ids: map(.id) | add}) | sort_by(.ids) | .[:3]' items.json
jq -r '[.[] | select(.tags | index("b3"))] | length' items.json
echo '{"broken": ' | jq . 2>&1 || echo "code $?"
{
    echo '<?xml version="1.0"?><items>'
    seq 1 20000 | sed 's|.*|<item id="&"><name>item &</name></item>|'
    echo '</items>'
} >items.xml
xmllint --xpath 'count(//item[@id mod 7 = 0]/name)' items.xml; echo
xmllint --format items.xml | tail -n 3
echo '<open><unclosed></open>' | xmllint - 2>&1 || echo "code $?"
