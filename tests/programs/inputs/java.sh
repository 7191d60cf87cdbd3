# The null pointer makes the virtual machine take a SIGSEGV of its own.
set -u
javac -d . "$INPUTS/Work.java"; echo "javac $?"
java -Xmx256m -cp . Work; echo "java $?"
