package c2s_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// rfcTo is a stream header with some attributes.
func rfcTo(attrs string) string { return "<stream:stream " + attrs + rfcStream }

const rfcFeatures = "<stream:features/>"

func TestRFC6120Header(t *testing.T) {
	answer := func(attrs string) []string {
		return []string{"<stream:stream id='*' from='" + rfcDomain + "' " + attrs + "/>", rfcFeatures}
	}
	unsupported := append([]string{"<stream:stream id='*'/>"}, rfcStreamError("unsupported-version")...)
	rfcRows(t, rfcDialled, nil, []rfcRow{
		{name: "4.2 answer", send: rfcOpen, want: answer("version='1.0'")},
		{name: "4.2 no declaration", send: rfcTo("to='one.example' version='1.0'"), want: answer("version='1.0'")},
		{name: "4.2 double quotes", send: strings.ReplaceAll(rfcOpen, "'", `"`), want: answer("version='1.0'")},
		{name: "4.2 white space before header", send: "\n " + rfcTo("to='one.example' version='1.0'"), want: answer("version='1.0'")},
		{name: "4.3.2 features name what is mandatory", send: rfcOpen,
			want: []string{rfcHeader, "<stream:features><mechanisms " + rfcSASL + "/></stream:features>"}},
		{name: "4.7.1 domain in other case", send: rfcTo("to='ONE.example' version='1.0'"), want: answer("")},
		{name: "4.7.1 second domain", send: rfcTo("to='two.example' version='1.0'"), want: []string{"<stream:stream id='*' from='two.example'/>", rfcFeatures}},
		{name: "4.7.2 no from, no to", send: rfcOpen, want: answer("to='absent'")},
		{name: "4.7.2 from comes back as to", send: rfcTo("from='romeo@one.example' to='one.example' version='1.0'"), want: answer("to='romeo@one.example'")},
		{name: "4.7.2 bare JID of from comes back", send: rfcTo("from='romeo@one.example/x' to='one.example' version='1.0'"), want: answer("to='romeo@one.example'")},
		{name: "4.7.3 id of client is ignored", send: rfcTo("id='mine' to='one.example' version='1.0'"), want: []string{"<stream:stream id='~.{8,}' from='one.example'/>", rfcFeatures}},
		{name: "4.7.4 language", send: rfcTo("xml:lang='de' to='one.example' version='1.0'"), want: answer("xml:lang='*'")},
		{name: "4.7.4 language without one", send: rfcOpen, want: answer("xml:lang='*'")},
		{name: "4.7.5 version 1.1", send: rfcTo("to='one.example' version='1.1'"), want: answer("version='1.0'")},
		{name: "4.7.5 version 1.10", send: rfcTo("to='one.example' version='1.10'"), want: answer("version='1.0'")},
		{name: "4.7.5 version 2.0", send: rfcTo("to='one.example' version='2.0'"), want: answer("version='1.0'")},
		{name: "4.7.5 version 10.0 is not below 2.0", send: rfcTo("to='one.example' version='10.0'"), want: answer("version='1.0'")},
		{name: "4.7.5 leading zeros are ignored", send: rfcTo("to='one.example' version='01.00'"), want: answer("version='1.0'")},
		{name: "4.7.5 version 0.9", send: rfcTo("to='one.example' version='0.9'"), want: unsupported},
		{name: "4.7.5 no version", send: rfcTo("to='one.example'"),
			want: append([]string{"<stream:stream id='*' version='absent'/>"}, rfcStreamError("unsupported-version")...),
			or:   []string{"<stream:stream id='*' version='absent'/>"}},
		{name: "4.7.5 version that is none", send: rfcTo("to='one.example' version='new'"),
			want: append([]string{"<stream:stream id='*'/>"}, rfcStreamError("unsupported-version|bad-format|invalid-xml")...)},
		{name: "4.7 further attributes are ignored", send: rfcTo("to='one.example' version='1.0' x='y' xmlns:e='urn:e' e:f='g'"), want: answer("")},
	})
}

func TestRFC6120BadHeader(t *testing.T) {
	refused := func(conditions string) []string {
		return append([]string{"<stream:stream id='*' from='~|one[.]example|two[.]example'/>"}, rfcStreamError(conditions)...)
	}
	opened := []string{rfcHeader, rfcFeatures}
	const client, streams = "xmlns='jabber:client'", "'http://etherx.jabber.org/streams'"
	rfcRows(t, rfcDialled, nil, []rfcRow{
		{name: "4.8.1 wrong namespace of stream", send: "<stream:stream to='one.example' version='1.0' " + client + " xmlns:stream='urn:x'>", want: refused("invalid-namespace")},
		{name: "4.8.1 no namespace of stream", send: "<stream to='one.example' version='1.0' " + client + ">", want: refused("invalid-namespace|bad-namespace-prefix")},
		{name: "4.8.1 undeclared prefix", send: "<stream:stream to='one.example' version='1.0' " + client + ">", want: refused("bad-namespace-prefix|not-well-formed|invalid-namespace")},
		{name: "4.8.2 content of servers", send: "<stream:stream to='one.example' version='1.0' xmlns='jabber:server' xmlns:stream=" + streams + ">", want: refused("invalid-namespace")},
		{name: "4.8.2 unknown content", send: "<stream:stream to='one.example' version='1.0' xmlns='urn:x' xmlns:stream=" + streams + ">", want: refused("invalid-namespace")},
		{name: "4.8.2 no content namespace", send: "<stream:stream to='one.example' version='1.0' xmlns:stream=" + streams + ">", want: refused("invalid-namespace"), or: opened},
		{name: "4.8.5 other prefix", send: "<s:stream to='one.example' version='1.0' " + client + " xmlns:s=" + streams + ">", want: refused("bad-namespace-prefix"), or: opened},
		{name: "4.8.5 no prefix", send: "<stream to='one.example' version='1.0' xmlns=" + streams + ">", want: refused("bad-namespace-prefix|invalid-namespace"), or: opened},
		{name: "4.9.3.1 not a stream", send: "<stream:flow to='one.example' version='1.0'" + rfcStream, want: refused("bad-format|invalid-namespace|invalid-xml")},
		{name: "4.9.3.6 unknown host", send: rfcTo("to='three.example' version='1.0'"), want: refused("host-unknown")},
		{name: "4.9.3.6 subdomain", send: rfcTo("to='x.one.example' version='1.0'"), want: refused("host-unknown")},
		{name: "4.9.3.7 no to", send: rfcTo("version='1.0'"), want: refused("improper-addressing|host-unknown")},
		{name: "4.9.3.7 empty to", send: rfcTo("to='' version='1.0'"), want: refused("improper-addressing|host-unknown")},
		{name: "4.9.3.7 to is no address", send: rfcTo("to='@/' version='1.0'"), want: refused("improper-addressing|host-unknown")},
		{name: "4.9.3.7 to is an account", send: rfcTo("to='romeo@one.example' version='1.0'"), want: refused("improper-addressing|host-unknown")},
		{name: "4.9.1.2 text", send: "hello", want: refused("not-well-formed|bad-format|invalid-xml")},
		{name: "4.9.1.2 HTTP", send: "GET / HTTP/1.1\r\nHost: one.example\r\n\r\n", want: refused("not-well-formed|bad-format|invalid-xml")},
		{name: "4.9.1.2 stanza before header", send: "<message to='romeo@one.example'/>", want: refused("bad-format|invalid-namespace|not-authorized|invalid-xml|bad-namespace-prefix|not-well-formed")},
		{name: "4.9.1.2 end tag before header", send: "</stream:stream>", want: refused("not-well-formed|bad-format")},
		{name: "4.9.1.2 broken header", send: "<stream:stream to='one.example' to='one.example' version='1.0'" + rfcStream, want: refused("not-well-formed")},
		{name: "4.9.1.2 broken quotes", send: "<stream:stream to=one.example version='1.0'" + rfcStream, want: refused("not-well-formed")},
		{name: "11.1 comment before header", send: "<!-- x -->" + rfcTo("to='one.example' version='1.0'"), want: refused("restricted-xml")},
		{name: "11.1 document type", send: "<!DOCTYPE x [<!ENTITY a 'b'>]>" + rfcTo("to='one.example' version='1.0'"), want: refused("restricted-xml")},
		{name: "11.1 processing instruction", send: "<?xml version='1.0'?><?x y?>" + rfcTo("to='one.example' version='1.0'"), want: refused("restricted-xml")},
		{name: "11.6 other encoding", send: "<?xml version='1.0' encoding='ISO-8859-1'?>" + rfcTo("to='one.example' version='1.0'"), want: refused("unsupported-encoding")},
		{name: "11.6 UTF-16 declared", send: "<?xml version='1.0' encoding='UTF-16'?>" + rfcTo("to='one.example' version='1.0'"), want: refused("unsupported-encoding")},
		{name: "11.6 UTF-16", send: "\xfe\xff\x00<\x00s\x00t\x00r\x00e\x00a\x00m", want: refused("unsupported-encoding|not-well-formed|bad-format")},
		{name: "11.6 UTF-8 in lower case", send: "<?xml version='1.0' encoding='utf-8'?>" + rfcTo("to='one.example' version='1.0'"), want: opened},
		{name: "11.6 broken UTF-8 in header", send: rfcTo("to='one.example' version='1.0' x='\xff'"), want: refused("unsupported-encoding|not-well-formed|bad-format")},
	})
}

// TestRFC6120HeaderText has what the patterns cannot see.
// See RFC 6120, sections 4.7.3, 4.8.1 and 4.8.5.
func TestRFC6120HeaderText(t *testing.T) {
	rfcTest(t, "namespaces and prefix", nil, func(t *testing.T, s *rfcServer) {
		raw := s.dial().must(rfcOpen, rfcHeader, rfcFeatures)[0].raw
		raw = strings.ReplaceAll(raw, `"`, "'")
		for _, want := range []string{"<stream:stream ", " xmlns='jabber:client'", " xmlns:stream='http://etherx.jabber.org/streams'"} {
			if !strings.Contains(raw, want) {
				t.Errorf("header: got %s, want %s in it", raw, want)
			}
		}
	})
	rfcTest(t, "4.7.3 ids are unique", nil, func(t *testing.T, s *rfcServer) {
		seen := map[string]bool{}
		add := func(id string) {
			if seen[id] || len(id) < 10 {
				t.Errorf("id: got %q, want one that is new and long enough not to be guessed", id)
			}
			seen[id] = true
		}
		for range 50 {
			add(s.dial().must(rfcOpen, rfcHeader, rfcFeatures)[0].attr("id"))
		}
		add(s.dial().must(rfcTo("to='nowhere.example' version='1.0'"), append([]string{"<stream:stream id='*'/>"}, rfcStreamError("host-unknown")...)...)[0].attr("id"))
	})
	rfcTest(t, "4.3.3 restarts have new ids", rfcWithTLS, func(t *testing.T, s *rfcServer) {
		c := s.dial()
		first := c.must(rfcOpen, rfcHeader, rfcFeatures)[0].attr("id")
		c.startTLS()
		second := c.must(rfcOpen, rfcHeader, rfcFeatures)[0].attr("id")
		c.must(rfcPlain("romeo", rfcPassword), "<success "+rfcSASL+"/>")
		third := c.must(rfcOpen, rfcHeader, rfcFeatures)[0].attr("id")
		if first == second || second == third || first == third {
			t.Errorf("ids: got %q, %q, %q, want three", first, second, third)
		}
	})
}

func TestRFC6120Close(t *testing.T) {
	end := []string{rfcEnd, rfcEOF}
	rfcRows(t, rfcOpened, nil, []rfcRow{
		{name: "4.4 before login", send: "</stream:stream>", want: end},
		{name: "4.4 white space in the end tag", send: "</stream:stream \n>", want: end},
		{name: "4.6.1 white space", send: " \n\t\r\n", then: []rfcTurn{{send: rfcPlain("romeo", rfcPassword), want: []string{"<success " + rfcSASL + "/>"}}}},
	})
	rfcRows(t, rfcAuthenticated, nil, []rfcRow{{name: "4.4 before bind", send: "</stream:stream>", want: end}})
	rfcRows(t, rfcBound, nil, []rfcRow{
		{name: "4.4 after bind", send: "</stream:stream>", want: end},
		{name: "4.4 what came before is answered", send: rfcPing + "</stream:stream>", want: []string{rfcPong, rfcEnd, rfcEOF}},
		{name: "4.4 what comes after is not", send: "</stream:stream>" + rfcPing, want: end},
		{name: "4.6.1 white space", send: " \n\t\r\n", then: []rfcTurn{{send: rfcPing, want: []string{rfcPong}}}},
		{name: "4.9.1.1 error of the client", send: "<stream:error><bad-format xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>", want: end},
	})
	rfcTest(t, "4.4 server closes first", nil, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("romeo", "orchard", rfcBound)
		s.cancel()
		rfcCheck(t, "nothing", c.take(), rfcStreamError("system-shutdown")[:2], rfcStreamError("system-shutdown"))
	})
	rfcTest(t, "4.6 connection ends without end of stream", nil, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("romeo", "orchard", rfcBound)
		d := s.dial().login("romeo", "balcony", rfcBound)
		d.ask("<presence/>")
		c.ask("<presence/>")
		d.take()
		if err := c.conn.(*listentest.Conn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		rfcCheck(t, "end of file", c.take(), []string{"?" + rfcEnd, rfcEOF})
		rfcCheck(t, "end of file", d.take(), []string{"<presence type='unavailable' from='romeo@one.example/orchard'/>"})
	})
	rfcTest(t, "4.6 connection ends within a stanza", nil, func(t *testing.T, s *rfcServer) {
		c, juliet := s.dial().login("romeo", "orchard", rfcBound), s.dial().login("juliet", "balcony", rfcBound)
		c.send("<message to='juliet@one.example/balcony'><body>x</body></message")
		if err := c.conn.(*listentest.Conn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		rfcCheck(t, "half a stanza", c.take(), []string{"?<stream:error/>", "?" + rfcEnd, rfcEOF})
		rfcCheck(t, "half a stanza", juliet.take(), nil)
	})
	rfcTest(t, "4.9.3.4 silence before login", nil, func(t *testing.T, s *rfcServer) {
		c := s.dial().login("", "", rfcOpened)
		rfcCheck(t, "nothing", c.pass(time.Hour), rfcStreamError("connection-timeout|policy-violation"))
	})
}

func TestRFC6120Pieces(t *testing.T) {
	rfcTest(t, "4.3 a stream comes in pieces", nil, func(t *testing.T, s *rfcServer) {
		c := s.dial()
		for _, text := range []string{rfcOpen, rfcPlain("romeo", rfcPassword), rfcOpen, rfcBindIQ("orchard"), rfcPing} {
			for i := range len(text) {
				c.send(text[i : i+1])
			}
			if got := c.take(); len(got) == 0 || got[len(got)-1].name.Local == rfcEOF {
				t.Fatalf("sent %q, got %s", text, rfcRaw(got))
			}
		}
	})
	rfcTest(t, "4.3 a stream comes in one piece", nil, func(t *testing.T, s *rfcServer) {
		got := s.dial().ask(rfcOpen + rfcPlain("romeo", rfcPassword) + rfcOpen + rfcBindIQ("orchard") + rfcPing + "</stream:stream>")
		rfcCheck(t, "everything", got, []string{rfcHeader, rfcFeatures, "<success " + rfcSASL + "/>", rfcHeader, rfcFeatures, "<iq type='result' id='bind'/>", rfcPong, rfcEnd, rfcEOF})
	})
}
