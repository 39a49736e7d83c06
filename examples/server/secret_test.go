package main

import (
	"context"
	"encoding/xml"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/component"
	"mellium.im/xmpp/jid"
	xmppstanza "mellium.im/xmpp/stanza"
)

// secretIn returns the secret of components that is kept in a directory.
func secretIn(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, secretFile))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`\n  COMPONENT_SECRET: "([A-Z2-7]{26})"\n`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no secret in %q", text)
	}
	return string(m[1])
}

// The secret is made once, is another one everywhere, and nobody else can read it.
func TestComponentSecret(t *testing.T) {
	dir := t.TempDir()
	made, err := componentSecret(dir)
	if err != nil || made != secretIn(t, dir) {
		t.Fatalf("got %q, %v, want what is in the file", made, err)
	}
	if info, err := os.Stat(filepath.Join(dir, secretFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file of mode 0600", info, err)
	}
	if again, err := componentSecret(dir); err != nil || again != "" || secretIn(t, dir) != made {
		t.Errorf("the second time: got %q, %v, want none", again, err)
	}
	if other, err := componentSecret(t.TempDir()); err != nil || other == made || other == "" {
		t.Errorf("elsewhere: got %q, %v, want another one", other, err)
	}
	if _, err := componentSecret(filepath.Join(dir, secretFile)); err == nil {
		t.Error("a file in place of the data directory: got no error")
	}
}

// The start that makes the secret prints it, and no other does.
func TestSecretIsPrintedOnce(t *testing.T) {
	s := startServer(t, builtIn(t))
	s.flags.config = "" // as if it had been started without
	secret := secretIn(t, s.data)
	for _, c := range []struct {
		made  string
		count int
	}{{secret, 1}, {"", 0}} {
		s.secret = c.made
		var out strings.Builder
		s.printComponents(&out, s.listen.Stats())
		if got := strings.Count(out.String(), secret); got != c.count {
			t.Errorf("secret made %q: it is printed %d times, want %d:\n%s", c.made, got, c.count, &out)
		}
	}
}

// address returns where the first listener of a module is.
func address(t *testing.T, s *server, module string) string {
	t.Helper()
	for i, e := range s.config.Entries {
		if e.Module == module {
			return s.listen.Stats()[i].Bound
		}
	}
	t.Fatalf("no listener of %s", module)
	return ""
}

// A component of another library connects with the secret and exchanges messages
// with a user.
func TestComponentOfBuiltInConfiguration(t *testing.T) {
	s := startServer(t, builtIn(t))
	ana := login(t, s, 0, "ana", "anchor")
	conn, err := net.Dial("tcp", address(t, s, "ejabberd_service"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tug, err := component.NewSession(ctx, jid.MustParse("tug.localhost"), []byte(secretIn(t, s.data)), conn)
	if err != nil {
		t.Fatal(err)
	}
	chat(t, ana, tug, "ahoy")
	from := jid.MustParse("cy@tug.localhost")
	say(t, tug, xmppstanza.Message{From: from, To: ana.LocalAddr()}, "ahoy yourself")
	hear(t, ana, from, "ahoy yourself")
}

// Nothing leaves this machine: who writes to another domain is told so at once.
func TestBuiltInConfigurationDoesNotFederate(t *testing.T) {
	s := startServer(t, builtIn(t))
	ana := login(t, s, 0, "ana", "anchor")
	say(t, ana, xmppstanza.Message{ID: "m1", To: jid.MustParse("bo@example.com"), Type: xmppstanza.ChatMessage}, "ahoy")
	if got := refusal(t, ana); got != "forbidden" {
		t.Errorf("got the error %q, want forbidden", got)
	}
}

// refusal waits for an error stanza and returns its condition.
func refusal(t *testing.T, s *xmpp.Session) string {
	t.Helper()
	_ = s.Conn().SetReadDeadline(time.Now().Add(bound))
	r := s.TokenReader()
	defer r.Close()
	d := xml.NewTokenDecoder(xmlstream.MultiReader(r))
	for inError := false; ; {
		tok, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := tok.(xml.StartElement); ok {
			if inError {
				return start.Name.Local
			}
			inError = start.Name.Local == "error"
		}
	}
}
