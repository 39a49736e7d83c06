package xmpp

import (
	"context"
	"encoding/base64"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/sasl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// TestSCRAMOfTheRFC is the example of RFC 5802, section 5.
func TestSCRAMOfTheRFC(t *testing.T) {
	s := newSCRAM("user", "pencil", new(keyCache))
	s.nonce = "fyko+d2lbbFgONRv9qkxdawL"
	if got, want := s.first(), "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"; got != want {
		t.Errorf("first message: got %q, want %q", got, want)
	}
	got, err := s.final("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096")
	if want := "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="; err != nil || got != want {
		t.Errorf("final message: got %q, %v; want %q", got, err, want)
	}
	if err := s.verify(b64([]byte("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="))); err != nil {
		t.Error(err)
	}
	if err := s.verify(b64([]byte("v=rmF9pqV8S7suAoZWja4dJRkFsKR="))); err == nil {
		t.Error("a wrong signature of the server is accepted")
	}
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

type keys struct{ stored stanza.SCRAMKeys }

func (k keys) SCRAMKeys(context.Context, string, stanza.JID) (stanza.SCRAMKeys, error) {
	return k.stored, nil
}

// TestSCRAMAgainstServer logs in to the server's side of the exchange, twice:
// the second time the key is known.
func TestSCRAMAgainstServer(t *testing.T) {
	stored, err := sasl.DeriveKeys(sasl.SHA1, "pass", sasl.NewSalt(), 4096)
	if err != nil {
		t.Fatal(err)
	}
	var cache keyCache
	for range 2 {
		server, err := sasl.New(&sasl.Config{Domain: "localhost", SCRAM: keys{stored}, Secret: make([]byte, 32)}, sasl.SCRAMSHA1)
		if err != nil {
			t.Fatal(err)
		}
		s := newSCRAM("u1", "pass", &cache)
		challenge, _, err := server.Step(t.Context(), []byte(s.first()))
		if err != nil {
			t.Fatal(err)
		}
		final, err := s.final(string(challenge))
		if err != nil {
			t.Fatal(err)
		}
		signature, done, err := server.Step(t.Context(), []byte(final))
		if err != nil || !done {
			t.Fatalf("got %v, %v; want the end of the exchange", done, err)
		}
		if err := s.verify(b64(signature)); err != nil {
			t.Error(err)
		}
	}
	if got := cache.misses(); got != 1 {
		t.Errorf("got %d keys derived, want 1", got)
	}
}

func TestSCRAMRefusesChallenges(t *testing.T) {
	for _, challenge := range []string{
		"", "r=abc,s=QSXCR+Q6sek8bf92,i=4096", "r=NONCE,s=QSXCR+Q6sek8bf92,i=0",
		"r=NONCE,s=QSXCR+Q6sek8bf92,i=99999999", "r=NONCE,s=*,i=4096",
	} {
		s := newSCRAM("user", "pencil", new(keyCache))
		s.nonce = "NONCE"
		if got, err := s.final(challenge); err == nil {
			t.Errorf("%q: got %q, want an error", challenge, got)
		}
	}
}
