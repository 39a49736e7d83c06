package stanza

import (
	"io"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
)

const clientHeader = `<stream:stream to='example.com' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`

// traffic is what a client sends on a usual day.
var traffic = []string{
	`<message to='romeo@montague.example/orchard' type='chat' id='8f3a1c2e-77aa-4d0e-9f11-1b2c3d4e5f60' xml:lang='en'><body>Art thou not Romeo, and a Montague?</body><active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/></message>`,
	`<message to='Romeo@montague.example' type='chat' id='a&amp;b' extra='1'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>`,
	`<presence><show>away</show><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://client.example' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/></presence>`,
	`<iq type='get' id='ping-42' to='example.com'><ping xmlns='urn:xmpp:ping'/></iq>`,
	`<message to='room@conference.example.com' type='groupchat' id='m99'><body>O, what may man within him hide</body><stream:x/></message>`,
}

// repeat is a reader of text again and again.
type repeat struct {
	text string
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

// reading returns a function that reads the next stanza of endless traffic.
func reading(tb testing.TB) func() *Stanza {
	r := io.MultiReader(strings.NewReader(clientHeader), &repeat{text: strings.Join(traffic, "")})
	scanner := xmlstream.NewScanner(r, xmlstream.Limits{})
	if _, err := scanner.Header(); err != nil {
		tb.Fatal(err)
	}
	var jids JIDCache
	return func() *Stanza {
		e, err := scanner.Next()
		if err != nil {
			tb.Fatal(err)
		}
		s, err := FromElement(e, &jids)
		if err != nil {
			tb.Fatal(err)
		}
		return s
	}
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("pools lose what they hold under the race detector")
	}
	next := reading(t)
	for range 100 {
		next()
	}
	if got := testing.AllocsPerRun(1000, func() { next() }); got > 2 {
		t.Errorf("got %v allocations a stanza, want at most 2", got)
	}
}

func TestAppendToAllocatesNothing(t *testing.T) {
	s := reading(t)()
	buf := make([]byte, 0, 4096)
	if got := testing.AllocsPerRun(100, func() { buf = s.AppendTo(buf[:0], "") }); got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func BenchmarkRead(b *testing.B) {
	next := reading(b)
	b.SetBytes(int64(len(strings.Join(traffic, "")) / len(traffic)))
	b.ReportAllocs()
	for b.Loop() {
		next()
	}
}

func BenchmarkAppendTo(b *testing.B) {
	s := reading(b)()
	buf := make([]byte, 0, 4096)
	b.SetBytes(int64(len(s.AppendTo(buf, ""))))
	b.ReportAllocs()
	for b.Loop() {
		buf = s.AppendTo(buf[:0], "")
	}
}
