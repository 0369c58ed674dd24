# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# nginx in guests and wrk that asks them, on top of lib.sh and traffic.sh.
#
#   web g                      nginx in guest g answers every path with g's name; web_kill g (-9)
#   load NAME g URL OPTIONS..  wrk in guest g asks for URL/NAME, one connection, until load_end NAME
#   served g NAME [new]        how many requests of that load g has answered; new: on a new connection
declare -A WEB=() LOAD=()

web() { # web GUEST: on port 8080
	local dir=$WORK/$1/web
	mkdir -p "$dir"
	cat >"$dir/conf" <<-END
		daemon off; master_process off; pid $dir/pid; error_log $dir/error;
		events { worker_connections 1024; }
		http {
			log_format load '\$uri \$connection_requests';
			access_log $dir/access load;
			default_type text/plain;
			keepalive_requests 1000000;
			client_body_temp_path $dir/1; proxy_temp_path $dir/2; fastcgi_temp_path $dir/3;
			uwsgi_temp_path $dir/4; scgi_temp_path $dir/5;
			server {
				listen 8080; listen [::]:8080;
				location / { return 200 "$1\n"; }
				location /large/ { alias $dir/large/; }
			}
		}
	END
	spawn "$1" nginx -c "$dir/conf" -e "$dir/error"
	WEB[$1]=$SPAWNED
	wait_for 5 web_listens "$1"
}

web_listens() {
	on "$1" curl -s -o /dev/null --noproxy '*' http://127.0.0.1:8080/listens
}

web_kill() {
	kill -9 "${WEB[$1]}"
	wait "${WEB[$1]}" 2>/dev/null || true
}

# A pause after each request, so that two cores have enough for many of them.
cat >"$WORK/pause.lua" <<'END'
function delay() return 5 end
END

load() { # load NAME GUEST URL WRK-OPTIONS...
	nsenter --net="/run/netns/$(netns "$2")" wrk -t1 -c1 -d120s -s "$WORK/pause.lua" "${@:4}" "$3/$1" >"$WORK/load-$1" 2>&1 &
	LOAD[$1]=$!
	helper $!
}

served() { # served GUEST NAME [new]
	local pattern="^/$2 "
	[ -z "${3:-}" ] || pattern="^/$2 1\$"
	grep -c "$pattern" "$WORK/$1/web/access" || true
}

serves() { # serves GUEST NAME MORE-THAN [new]: for wait_for
	[ "$(served "$1" "$2" "${4:-}")" -gt "$3" ]
}

load_end() { # load_end NAME: it must have run until now
	kill -INT "${LOAD[$1]}" 2>/dev/null || die "load $1 was over: $(cat "$WORK/load-$1")"
	wait "${LOAD[$1]}" || die "load $1: $(cat "$WORK/load-$1")"
	unset "LOAD[$1]"
}

errors() { # errors NAME: how many requests of a load that has ended have failed
	awk '/requests in/ { ended = 1 }
		/Socket errors:/ { gsub(",", ""); errors += $4 + $6 + $8 + $10 }
		/Non-2xx/ { errors += $NF }
		END { print ended ? errors + 0 : "no end" }' "$WORK/load-$1"
}
