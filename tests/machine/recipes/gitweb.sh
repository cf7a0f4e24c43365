# Sets gitweb up behind nginx and fcgiwrap. A day of it adds a repository and commits, and reads all of gitweb's pages of it.
set -eu
day=$1
site=http://git.example
ask() { # WANTED QUERY
	answer=$(curl -sSL --max-time 60 -o /root/answer -w '%{http_code}' "$site/?$2")
	[ "$answer" = 200 ] && grep -aq "$1" /root/answer || { echo "$2: $answer without $1" >&2; sed "s/<[^>]*>//g" /root/answer | tail -n 20 >&2; exit 1; }
}
if [ "$day" = setup ]; then
	echo "192.88.1.10 git.example" >> /etc/hosts
	printf '$feature{"blame"}{"default"} = [1]; $feature{"grep"}{"default"} = [1]; $feature{"snapshot"}{"default"} = ["tgz", "zip"];\n1;\n' >> /etc/gitweb.conf
	cat > /etc/nginx/sites-enabled/git <<'P'
server {
	listen 80; server_name git.example; root /usr/share/gitweb;
	index gitweb.cgi;
	location ~ \.cgi$ {
		include fastcgi_params; fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
		fastcgi_param GITWEB_CONFIG /etc/gitweb.conf; fastcgi_pass unix:/run/fcgiwrap.socket;
	}
}
P
	git config --system safe.directory '*'
	systemctl restart nginx
	exit
fi
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@git.example GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@git.example
rm -rf /root/work && git init -q -b main /root/work && cd /root/work
for text in one two; do
	echo "$text of $day" >> "notes-$day.txt"; git add . && git commit -q -m "$text of $day"
done
git tag -a -m "release of $day" "v-$day"
git clone -q --bare /root/work "/var/lib/git/$day.git"
of="p=$day.git"
file="f=notes-$day.txt"
head=$(git rev-parse HEAD)
first=$(git rev-parse HEAD~1)
ask "$day.git" ''
ask "two.*$day" "$of;a=summary"
ask "one.*$day" "$of;a=shortlog"
ask "one.*$day" "$of;a=log"
ask "notes-$day.txt" "$of;a=tree"
ask "one.*$day" "$of;a=blob;$file;hb=HEAD"
ask "one.*$day" "$of;a=blob_plain;$file;hb=HEAD"
ask "one.*$day" "$of;a=history;$file;hb=HEAD"
ask "two.*$day" "$of;a=commit;h=$head"
ask "two.*$day" "$of;a=commitdiff;h=$head"
ask "two.*$day" "$of;a=commitdiff_plain;h=$head"
ask "two.*$day" "$of;a=blobdiff;$file;hb=HEAD;hpb=$first"
ask "two.*$day" "$of;a=patch;h=$head"
ask "two.*$day" "$of;a=blame;$file;hb=HEAD"
ask "one.*$day" "$of;a=object;$file;hb=$head"
ask "v-$day" "$of;a=tags"
ask "two.*$day" "$of;a=search;st=commit;s=two"
ask "two" "$of;a=search;st=grep;s=two"
ask "two.*$day" "$of;a=search;st=pickaxe;s=two"
ask "two.*$day" "$of;a=rss"
for commit in "$head" "$first"; do
	ask "$day" "$of;a=object;h=$commit"
	ask PK "$of;a=snapshot;h=$commit;sf=zip"
done
echo "the day of $day is done"
