set -eu
gs -q -dNOPAUSE -dBATCH -dSAFER -r100 -sDEVICE=png16m -sOutputFile=page.png "$INPUTS/page.ps"
cksum page.png
gs -q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=pdfwrite -sOutputFile=page.pdf "$INPUTS/page.ps"
gs -q -dNOPAUSE -dBATCH -dSAFER -r50 -sDEVICE=pgmraw -sOutputFile=again.pgm page.pdf
cksum again.pgm
echo 'this is no operator' | gs -q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=nullpage - >error.txt || echo "code $?"
head -n 1 error.txt
