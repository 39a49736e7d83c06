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
	"github.com/tidewaiter/tidewaiter/s2s"
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
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\n", stats[i].Bound, strings.TrimRight(e.Network, "46"), s.tlsState(e), e.Module, backlog)
	}
	t.Flush()
	s.printLogin(w, stats)
	s.printComponents(w, stats)
	s.printCommands(w, stats)
	s.printRelays(w, stats)
	fmt.Fprintln(w, "\nready: SIGHUP reloads the configuration, \"ctl help\" lists the commands, Ctrl-C stops")
}

// tlsState says in one word how a listener encrypts.
func (s *server) tlsState(e listen.Entry) string {
	const none, optional, required = "none", "STARTTLS", "STARTTLS required"
	if e.TLS != nil {
		return "TLS"
	}
	switch o := e.Options.(type) {
	case c2s.Options:
		switch {
		case o.TLS == nil:
		case o.StartTLSRequired:
			return required
		case o.StartTLS || o.TLSVerify:
			return optional
		}
	case s2s.Options:
		switch use := s.modules.S2S.Settings().UseStartTLS.Value; {
		case o.TLS == nil || use == s2s.TLSOff:
		case use == s2s.TLSOptional:
			return optional
		default:
			return required
		}
	}
	return none
}

// port returns the port of the first listener of a module, with direct TLS or
// without.
func (s *server) port(stats []listen.Stats, module string, direct bool) string {
	for i, e := range s.config.Entries {
		if _, port, err := net.SplitHostPort(stats[i].Bound); err == nil && e.Module == module && (e.TLS != nil) == direct {
			return port
		}
	}
	return ""
}

// printLogin prints how to log in as the account that this start has made.
func (s *server) printLogin(w io.Writer, stats []listen.Stats) {
	if s.admin.IsZero() {
		return
	}
	starttls, direct := s.port(stats, "ejabberd_c2s", false), s.port(stats, "ejabberd_c2s", true)
	fmt.Fprintf(w, "\nLog in with any XMPP client on this machine:\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  account\t%s\n", s.admin)
	fmt.Fprintf(t, "  password\t%s\n", s.password)
	if web := s.port(stats, "ejabberd_http", false); web != "" && s.flags.config == "" {
		fmt.Fprintf(t, "  in a browser\thttp://localhost:%s/\n", web)
	}
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

// printCommands prints how commands are run on a server with the built-in
// configuration.
func (s *server) printCommands(w io.Writer, stats []listen.Stats) {
	web := s.port(stats, "ejabberd_http", false)
	if s.flags.config != "" || web == "" {
		return
	}
	fmt.Fprintf(w, "\nRun commands, such as that for more accounts, on this machine:\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	shell := "ctl register bo localhost -"
	if s.data != "data" {
		shell = "ctl -data " + s.data + " register bo localhost -"
	}
	fmt.Fprintf(t, "  in a shell\t%s, which asks for the password\n", shell)
	fmt.Fprintf(t, "  by HTTP\tcurl -u admin@localhost -d '{\"host\":\"localhost\"}' http://localhost:%s/api/registered_users\n", web)
	t.Flush()
	fmt.Fprintf(w, "All of them are described at http://localhost:%s/api/openapi.json, for those who may run them.\n", web)
}

// printRelays prints how to use the relays of the built-in configuration.
func (s *server) printRelays(w io.Writer, stats []listen.Stats) {
	if s.flags.config != "" {
		return
	}
	fmt.Fprintf(w, "\nOpen relays (TURN) for calls between programs on this machine:\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	plain, direct := s.port(stats, "ejabberd_stun", false), s.port(stats, "ejabberd_stun", true)
	fmt.Fprintf(t, "  server\t127.0.0.1, port %s over UDP or TCP, %s with TLS\n", plain, direct)
	fmt.Fprintln(t, "  user\tthe name of an account, such as admin, with its password; realm localhost")
	t.Flush()
	fmt.Fprintln(w, "XMPP clients ask for credentials themselves (XEP-0215). A relay reaches other relays of this server alone.")
}

// printComponents prints how a component connects to the built-in configuration,
// with the secret if this start has made it.
func (s *server) printComponents(w io.Writer, stats []listen.Stats) {
	if s.flags.config != "" {
		return
	}
	fmt.Fprintf(w, "\nConnect a component (XEP-0114) on this machine:\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  server\t127.0.0.1, port %s\n", s.port(stats, "ejabberd_service", false))
	fmt.Fprintln(t, "  domain\tany that is not served yet, such as echo.localhost")
	path := filepath.Join(s.data, secretFile)
	if s.secret != "" {
		fmt.Fprintf(t, "  secret\t%s, kept in %s and not printed again\n", s.secret, path)
	} else {
		fmt.Fprintf(t, "  secret\tin %s\n", path)
	}
	t.Flush()
}
