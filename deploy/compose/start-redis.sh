#!/bin/sh
# Starts a Redis server that Sentinels may make a primary or a replica. Which of both it is they write into its file; so of the file before
# only that is kept. A server that starts for the first time follows FOLLOWS, if that is set.
set -eu
umask 077
file=/data/redis.conf
if [ -e "$file" ]; then
    follows=$(grep '^replicaof ' "$file" || true)
else
    follows=${FOLLOWS:+replicaof $FOLLOWS 6379}
fi
{
    cat /etc/redis/redis.conf /etc/redis/replication.conf
    printf 'replica-announce-ip %s\n%s\n' "$ADDRESS" "$follows"
} >"$file.new"
mv "$file.new" "$file"
exec redis-server "$file"
