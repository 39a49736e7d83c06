package main

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/listen"
)

// printStart prints what listens where and how to log in.
func (s *server) printStart(w io.Writer) {
	from := "the built-in configuration"
	if s.flags.config != "" {
		from = s.flags.config
	}
	fmt.Fprintf(w, "Tidewaiter serves %s by %s, data in %s\n\n", strings.Join(s.config.Hosts, ", "), from, s.data)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  ADDRESS\tTRANSPORT\tTLS\tMODULE\tBACKLOG")
	stats := s.listen.Stats()
	for i, e := range s.config.Entries {
		backlog := "-"
		if stats[i].Backlog > 0 {
			backlog = fmt.Sprint(stats[i].Backlog)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\n", stats[i].Bound, strings.TrimRight(e.Network, "46"), tlsState(e), e.Module, backlog)
	}
	t.Flush()
	s.printLogin(w, stats)
	fmt.Fprintln(w, "\nready: SIGHUP reloads the configuration, Ctrl-C stops")
}

// tlsState says in one word how a listener encrypts.
func tlsState(e listen.Entry) string {
	if e.TLS != nil {
		return "TLS"
	}
	o, ok := e.Options.(c2s.Options)
	switch {
	case !ok || o.TLS == nil || !o.StartTLS && !o.StartTLSRequired && !o.TLSVerify:
		return "none"
	case o.StartTLSRequired:
		return "STARTTLS required"
	}
	return "STARTTLS"
}

// printLogin prints how to log in as the account that this start has made.
func (s *server) printLogin(w io.Writer, stats []listen.Stats) {
	if s.admin.IsZero() {
		return
	}
	var starttls, direct string
	for i, e := range s.config.Entries {
		if _, port, err := net.SplitHostPort(stats[i].Bound); err == nil && e.Module == "ejabberd_c2s" {
			if e.TLS != nil {
				direct = port
			} else {
				starttls = port
			}
		}
	}
	fmt.Fprintf(w, "\nLog in with any XMPP client on this machine:\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  account\t%s\n", s.admin)
	fmt.Fprintf(t, "  password\t%s\n", s.password)
	fmt.Fprintf(t, "  server\t127.0.0.1, port %s with STARTTLS or %s with TLS\n", starttls, direct)
	cert := filepath.Join(s.data, "localhost.pem")
	fmt.Fprintf(t, "  certificate\t%s, made by this server: accept it by its SHA-256 fingerprint\n", cert)
	if f, err := fingerprint(cert); err == nil {
		half := len(f)/2 + 1
		fmt.Fprintf(t, "  \t%s\n  \t%s\n", f[:half], f[half:])
	}
	t.Flush()
	fmt.Fprintf(w, "\nThe password is not printed again and kept nowhere; the account is in %s, with everything else.\n", filepath.Join(s.data, storeFile))
	fmt.Fprintln(w, "More accounts: register from the client, or start with -register bo@localhost:PASSWORD")
}
