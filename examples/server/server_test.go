package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"mellium.im/sasl"
	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	xmppstanza "mellium.im/xmpp/stanza"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// asServer makes the test binary be the server, so that tests can start it as a
// process of its own.
const asServer = "TIDEWAITER_TEST_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// startServer runs the server on a configuration until the test ends.
func startServer(t *testing.T, f flags) *server {
	t.Helper()
	if f.data == "" {
		f.data = filepath.Join(t.TempDir(), "data")
	}
	return startLogging(t, f, t.Output())
}

// startLogging is startServer with a log of its own.
func startLogging(t *testing.T, f flags, log io.Writer) *server {
	t.Helper()
	s, err := start(t.Context(), f, logHandler(log, "text"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// builtIn writes the built-in configuration with ports of the system's choice
// into a new directory, where its certificate is, too.
func builtIn(t *testing.T) flags {
	t.Helper()
	dir := t.TempDir()
	text := regexp.MustCompile(`port: \d+`).ReplaceAllString(string(builtInConfig(hasIPv6())), "port: 0")
	writeFile(t, filepath.Join(dir, "ejabberd.yml"), text)
	if _, err := selfSigned(dir, []string{"localhost", "127.0.0.1", "::1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := componentSecret(dir); err != nil {
		t.Fatal(err)
	}
	user, err := stanza.ParseJID("ana@localhost")
	if err != nil {
		t.Fatal(err)
	}
	bo, err := stanza.ParseJID("bo@localhost")
	if err != nil {
		t.Fatal(err)
	}
	return flags{config: filepath.Join(dir, "ejabberd.yml"), data: dir, accounts: []account{{user, "anchor"}, {bo, "bollard"}}}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func moveFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// login logs a client of another library in, on the i-th listener.
func login(t *testing.T, s *server, i int, user, password string) *xmpp.Session {
	t.Helper()
	return loginAt(t, s.listen.Stats()[i].Bound, s.config.Entries[i].TLS != nil, s.data, user, password)
}

// loginAt logs a client in at an address, with direct TLS or STARTTLS; the
// certificate is in dir.
func loginAt(t *testing.T, address string, direct bool, dir, user, password string) *xmpp.Session {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(dir, "localhost.pem"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{ServerName: "localhost", RootCAs: x509.NewCertPool()}
	cfg.RootCAs.AppendCertsFromPEM(pem)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	features := []xmpp.StreamFeature{xmpp.SASL("", password, sasl.ScramSha256, sasl.ScramSha1), xmpp.BindResource()}
	if direct {
		conn = tls.Client(conn, cfg)
	} else {
		features = append(features, xmpp.StartTLS(cfg))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	session, err := xmpp.NewClientSession(ctx, jid.MustParse(user+"@localhost"), conn, features...)
	if err != nil {
		t.Fatalf("login of %s on %s: %v", user, address, err)
	}
	return session
}

// chat sends a message from one client to another.
func chat(t *testing.T, from, to *xmpp.Session, body string) {
	t.Helper()
	say(t, from, xmppstanza.Message{To: to.LocalAddr(), Type: xmppstanza.ChatMessage}, body)
	hear(t, to, from.LocalAddr(), body)
}

type message struct {
	xmppstanza.Message
	Body string `xml:"body"`
}

// say sends a message.
func say(t *testing.T, s *xmpp.Session, m xmppstanza.Message, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Encode(ctx, message{m, body}); err != nil {
		t.Fatal(err)
	}
}

// hear waits for a message and sees that it is the one that was sent.
func hear(t *testing.T, s *xmpp.Session, from jid.JID, body string) {
	t.Helper()
	_ = s.Conn().SetReadDeadline(time.Now().Add(bound))
	r := s.TokenReader()
	defer r.Close()
	d := xml.NewTokenDecoder(xmlstream.MultiReader(r))
	for {
		tok, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := tok.(xml.StartElement); ok && start.Name.Local == "message" {
			var m message
			if err := d.DecodeElement(&m, &start); err != nil {
				t.Fatal(err)
			}
			if m.Body != body || !m.From.Equal(from) {
				t.Fatalf("got %q from %s, want %q from %s", m.Body, m.From, body, from)
			}
			return
		}
	}
}

func TestBuiltInConfiguration(t *testing.T) {
	s := startServer(t, builtIn(t))
	if len(s.config.Warnings) > 0 {
		t.Errorf("the built-in configuration warns: %v", s.config.Warnings)
	}
	for i, e := range s.config.Entries {
		host, _, err := net.SplitHostPort(s.listen.Stats()[i].Bound)
		if ip := net.ParseIP(host); err != nil || !ip.IsLoopback() {
			t.Errorf("%s listens on %s, want loopback only", e.Module, s.listen.Stats()[i].Bound)
		}
	}
	for i, e := range s.config.Entries {
		if e.Module != "ejabberd_c2s" {
			continue
		}
		ana, bo := login(t, s, i, "ana", "anchor"), login(t, s, 0, "bo", "bollard")
		chat(t, ana, bo, "ahoy")
		chat(t, bo, ana, "<ahoy & back>")
	}
}

func TestBuiltInConfigurationWithoutIPv6(t *testing.T) {
	f := builtIn(t)
	writeFile(t, f.config, regexp.MustCompile(`port: \d+`).ReplaceAllString(string(builtInConfig(false)), "port: 0"))
	s := startServer(t, f)
	for _, st := range s.listen.Stats() {
		if !strings.HasPrefix(st.Bound, "127.0.0.1:") {
			t.Errorf("listens on %s, want IPv4 only", st.Bound)
		}
	}
	if len(s.config.Warnings) > 0 || len(s.config.Entries) != 8 {
		t.Errorf("got %d listeners and warnings %v, want 8 and none", len(s.config.Entries), s.config.Warnings)
	}
}

func TestReloadKeepsSessions(t *testing.T) {
	f := builtIn(t)
	s := startServer(t, f)
	ana, bo := login(t, s, 0, "ana", "anchor"), login(t, s, 1, "bo", "bollard")
	text, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []struct{ name, text string }{
		{"options", strings.ReplaceAll(string(text), "starttls: true", "starttls_required: true")},
		{"mistake", "listen: [nothing]"},
		{"acl", strings.Replace(string(text), "user: admin@localhost", "user: ana@localhost", 1)},
	} {
		writeFile(t, f.config, change.text)
		s.reload(t.Context())
		chat(t, ana, bo, change.name)
		chat(t, bo, ana, change.name)
	}
	chat(t, login(t, s, 1, "ana", "anchor"), bo, "new session after the reload")
}

func TestStartOutput(t *testing.T) {
	s := startServer(t, builtIn(t))
	s.flags.config = "" // as if it had been started without
	if err := s.createAccounts(t.Context()); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	s.printStart(&out)
	for _, want := range []string{
		`Tidewaiter serves localhost by the built-in configuration`,
		`  ADDRESS +TRANSPORT +TLS +MODULE`,
		`  127\.0\.0\.1:\d+ +tcp +STARTTLS +ejabberd_c2s`,
		`  127\.0\.0\.1:\d+ +tcp +TLS +ejabberd_c2s`,
		`  127\.0\.0\.1:\d+ +tcp +STARTTLS required +ejabberd_s2s_in`,
		`  127\.0\.0\.1:\d+ +tcp +none +ejabberd_service`,
		`  account +admin@localhost\n`,
		`  password +[A-Z2-7]{26}\n`,
		`  server +127\.0\.0\.1, port \d+ with STARTTLS or \d+ with TLS\n`,
		`(  +([0-9A-F]{2}:?){16}\n){2}`,
		`Connect a component .*\n  server +127\.0\.0\.1, port \d+\n  domain +any .*\n  secret +in .*component-secret.yml\n`,
		`  127\.0\.0\.1:\d+ +udp +none +ejabberd_stun`,
		`  127\.0\.0\.1:\d+ +tcp +TLS +ejabberd_stun`,
		`Open relays .*\n  server +127\.0\.0\.1, port \d+ over UDP or TCP, \d+ with TLS\n  user +the name of an account`,
		`\nready: `,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("start output lacks %s:\n%s", want, &out)
		}
	}
	login(t, s, 0, "admin", s.password)
}

// Whoever is faster than the first start must not get the administrator's name.
func TestAdminIsReserved(t *testing.T) {
	s := startServer(t, builtIn(t))
	p := stanza.Peer{Addr: netip.MustParseAddrPort("127.0.0.1:50000"), Name: "tcp"}
	for name, refused := range map[string]bool{"Admin": true, "carol": false} {
		iq, err := stanza.Parse("<iq xmlns='jabber:client' type='set' id='r1' to='localhost'><query xmlns='jabber:iq:register'><username>" + name + "</username><password>mine</password></query></iq>")
		if err != nil {
			t.Fatal(err)
		}
		if _, err = s.host.Register.HandleIQ(t.Context(), iq, p); (err != nil) != refused {
			t.Errorf("registering %s in-band: got %v, want refused: %v", name, err, refused)
		}
	}
}

// A certificate whose writing was cut short does not keep the server from its
// next start.
func TestSelfSignedReplaces(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "localhost.pem.new"), "half of")
	for range 2 {
		path, err := selfSigned(dir, []string{"localhost"})
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("got %v, %v; want a file of mode 0600", info, err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "localhost.pem.new")); !os.IsNotExist(err) {
		t.Errorf("got %v, want no other file", err)
	}
}
