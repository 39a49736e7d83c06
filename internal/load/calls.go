package main

import (
	"flag"

	"github.com/tidewaiter/tidewaiter/internal/load/calls"
)

// calls defines the flags of a workload for what runs commands by HTTP; ok is false when
// there is none of that name.
func (c *command) calls(set *flag.FlagSet, name string) (of func() job, ok bool) {
	w := calls.Calls{XMLRPC: name == "xmlrpc"}
	path := "/api"
	switch name {
	case "xmlrpc":
		path = "/xmlrpc"
	case "api":
	default:
		return nil, false
	}
	t := &calls.Target{Dial: c.dial(set, "addr", "127.0.0.1:5280", "of the server")}
	set.StringVar(&t.Host, "domain", "localhost", "virtual host")
	set.StringVar(&w.Path, "path", path, "of the handler")
	n := bounded(set, "n", 16, "connections")
	timing(set, &w.Warm, &w.Duration)
	return func() job {
		t.PID, w.Connections = c.pid, *n
		return against[calls.Target]{w, t}
	}, true
}
