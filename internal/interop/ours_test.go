//go:build interop

package interop

import "testing"

// ours is a Tidewaiter in a federation.
type ours struct {
	*peer // without a process
	*server
	component string // port for components
}

// componentSecret is that of all components.
const componentSecret = "secret"

// tidewaiter runs examples/server with an account "ana" in each domain.
func (f *federation) tidewaiter(t *testing.T, hosts ...vhost) *ours {
	t.Helper()
	s, p := f.setup(t, hosts)
	p.announce(t, f.names, "localhost", hosts)
	s.Component = freePort(t)
	o := &ours{p, &server{dir: s.Dir, env: []string{"TIDEWAITER_INTEROP_DNS=" + f.names.addr}}, s.Component}
	var accounts []string
	for _, h := range hosts {
		if !h.Component {
			accounts = append(accounts, "-register", "ana@"+h.Domain+":"+password)
		}
	}
	o.server.begin(t, fill(t, "tidewaiter.yml", s), accounts...)
	return o
}
