package xmlstream

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

const testHeader = `<?xml version='1.0'?><stream:stream to='example.com' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`

// traffic is what clients of a busy server send: chat with receipts and
// markers, typing notices, presence with capabilities, and requests.
var traffic = []string{
	`<message to='romeo@montague.example/orchard' type='chat' id='8f3a1c2e-77aa-4d0e-9f11-1b2c3d4e5f60' xml:lang='en'><body>Art thou not Romeo, and a Montague? Neither, fair saint, if either thee dislike.</body><active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/><origin-id xmlns='urn:xmpp:sid:0' id='8f3a1c2e-77aa-4d0e-9f11-1b2c3d4e5f60'/></message>`,
	`<message to='romeo@montague.example' type='chat' id='c1'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>`,
	`<presence id='p7'><show>away</show><status>на балконе &amp; жду</status><priority>5</priority><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://client.example' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/></presence>`,
	`<iq type="get" id="ping-42" to="example.com"><ping xmlns="urn:xmpp:ping"/></iq>`,
	`<message to='room@conference.example.com' type='groupchat' id='m99'><body>O, what may man within him hide, though angel on the outward side! How may likeness made in crimes, making practice on the times, to draw with idle spiders' strings most ponderous and substantial things!</body><markable xmlns='urn:xmpp:chat-markers:0'/></message>`,
	`<iq type='set' id='mam1'><query xmlns='urn:xmpp:mam:2' queryid='f27'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='with'><value>romeo@montague.example</value></field></x><set xmlns='http://jabber.org/protocol/rsm'><max>50</max><before/></set></query></iq>`,
}

// repeat is a reader of text again and again.
type repeat struct {
	text []byte
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	if r.at += n; r.at == len(r.text) {
		r.at = 0
	}
	return n, nil
}

// openStream returns a scanner that has read a stream header and goes on with
// what r reads.
func openStream(tb testing.TB, r io.Reader) *Scanner {
	tb.Helper()
	s := NewScanner(io.MultiReader(strings.NewReader(testHeader), r), Limits{})
	if _, err := s.Header(); err != nil {
		tb.Fatal(err)
	}
	return s
}

func benchmark(b *testing.B, stanzas ...string) {
	text := strings.Join(stanzas, "")
	s := openStream(b, &repeat{text: []byte(text)})
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		for range stanzas {
			if _, err := s.Next(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkScanner(b *testing.B) {
	b.Run("mix", func(b *testing.B) { benchmark(b, traffic...) })
	b.Run("chat", func(b *testing.B) { benchmark(b, traffic[0]) })
	b.Run("iq", func(b *testing.B) { benchmark(b, traffic[5]) })
	b.Run("cyrillic", func(b *testing.B) {
		benchmark(b, "<message><body>"+strings.Repeat("Не спи, не спи, художник. ", 10)+"</body></message>")
	})
	b.Run("avatar", func(b *testing.B) {
		benchmark(b, "<iq><data>"+strings.Repeat("iVBORw0KGgoAAAANSUhEUgAA", 4000)+"</data></iq>")
	})
}

// oneByOne returns a stanza a read, as on a connection with little traffic.
type oneByOne struct {
	stanzas [][]byte
	at      int
}

func (r *oneByOne) Read(p []byte) (int, error) {
	n := copy(p, r.stanzas[r.at])
	r.at = (r.at + 1) % len(r.stanzas)
	return n, nil
}

func BenchmarkScannerIdle(b *testing.B) {
	r := &oneByOne{stanzas: [][]byte{[]byte(traffic[0])}}
	s := openStream(b, r)
	b.SetBytes(int64(len(traffic[0])))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("pools lose what they hold under the race detector")
	}
	text := []byte(strings.Join(traffic, " "))
	for name, r := range map[string]io.Reader{
		"many a read": &repeat{text: text},
		"one a read":  &oneByOne{stanzas: bytes.Split(text, []byte(" <"))[:1]},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStream(t, r)
			next := func() {
				if _, err := s.Next(); err != nil {
					t.Fatal(err)
				}
			}
			for range 100 {
				next()
			}
			if got := testing.AllocsPerRun(1000, next); got > 0 {
				t.Errorf("got %v allocations a stanza, want none", got)
			}
		})
	}
}
