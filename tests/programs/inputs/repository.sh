# A small life of a repository; dates and names fixed, so hashes agree.
set -eu
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git init -q -b main tree
cd tree
for i in 1 2 3 4 5 6; do
    seq "$i" 2000 >numbers; mkdir -p "dir$i"; echo "file $i" >"dir$i/file"
    git add -A; git commit -q -m "step $i"
done
git checkout -q -b side HEAD~2; echo side >side; git add side; git commit -q -m side
git checkout -q main; git merge -q --no-edit side
git log --oneline --graph --stat | head -n 40
git diff HEAD~3 --stat; git blame numbers | head -n 2; git status --short
git grep -c file; git stash list; git tag -a -m tagged v1
git gc -q --aggressive --prune=now; git fsck --strict 2>&1; git count-objects -v | grep in-pack
cd ..; git clone -q tree copy; git -C copy log --format=%H -n 2; git -C copy describe
git -C tree archive HEAD | tar -tf - | wc -l
git -C tree checkout nowhere 2>&1 || echo "code $?"
