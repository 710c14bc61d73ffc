#!/bin/sh
# Starts a Redis server that Sentinels may make a primary or a replica. They write into its file which of the two it is. Only that line of the
# file before is kept. A server that starts for the first time follows FOLLOWS, if that is set.
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
