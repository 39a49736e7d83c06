package main

import "strconv"

// way is how clients come to the port for HTTP.
type way uint8

const (
	direct way = iota // they do not
	byWebSocket
	byBOSH
	byCalls
)

// webRows are those of HTTP.
func webRows(s scale) []row {
	chat := func(name, title string, by way, args ...string) row {
		return row{
			name: name, title: title, unit: "messages per processor second", command: "chat", value: perServerCPU,
			pure: true, profile: profile{http: true}, by: by,
			args: append([]string{"-pairs", strconv.Itoa(s.pairs), "-warm", s.warm.String(), "-d", s.measured.String()}, args...),
		}
	}
	idle := func(name, title string, by way, n int) row {
		return row{
			name: name, title: title, unit: "KiB", command: "idle", value: kibEach, lower: true, fresh: true,
			pure: true, profile: profile{http: true}, by: by,
			args: []string{"-n", strconv.Itoa(n), "-settle", s.settle.String()},
		}
	}
	calls := func(name, title string) row {
		return row{
			name: name, title: title, unit: "calls per processor second", command: name, value: perServerCPU,
			pure: true, nobody: true, profile: profile{http: true}, by: byCalls, args: s.timing(),
		}
	}
	return []row{
		chat("websocket", "messages of 100 bytes over WebSocket, 32 under way", byWebSocket),
		chat("bosh", "messages of 100 bytes over BOSH, 32 under way", byBOSH),
		chat("bosh-w1", "messages of 100 bytes over BOSH, 1 under way", byBOSH, "-window", "1"),
		idle("websocket-idle", "memory of an idle connection over WebSocket", byWebSocket, s.idle),
		idle("bosh-idle", "memory of an idle session over BOSH", byBOSH, s.idle/2), // each has two connections
		calls("xmlrpc", "calls by XML-RPC of a command without arguments"),
		calls("api", "calls by the HTTP API of a command without arguments"),
	}
}

// web returns the arguments of the load generator for a row of HTTP.
func (r *row) web(p *peer) []string {
	args := []string{"-addr", loopback(p.at.second)}
	switch r.by {
	case byWebSocket:
		return append(args, "-websocket", p.webSocket)
	case byBOSH:
		return append(args, "-bosh", p.bosh)
	}
	return args
}
