package xmppstream

import (
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

func TestOpen(t *testing.T) {
	const stream = "xmlns:stream='http://etherx.jabber.org/streams'"
	tests := []struct {
		name, in string
		want     stanza.Header
		cond     stanza.StreamCondition
		err      error
	}{
		{name: "full", in: "<?xml version='1.0'?> <stream:stream xmlns='jabber:client' " + stream + " from='a@b' to='c' id='7' version='1.0' xml:lang='de'>",
			want: stanza.Header{From: "a@b", To: "c", ID: "7", Version: "1.0", Lang: "de", Namespace: "jabber:client"}},
		{name: "other prefix, component", in: "<s:stream xmlns='jabber:component:accept' xmlns:s='http://etherx.jabber.org/streams' to='c'>",
			want: stanza.Header{To: "c", Namespace: "jabber:component:accept"}},
		{name: "no prefix, no content namespace", in: "<stream xmlns='http://etherx.jabber.org/streams'>",
			want: stanza.Header{Namespace: "http://etherx.jabber.org/streams"}},
		{name: "escaped", in: "<stream:stream xmlns='jabber:server' " + stream + " from='a&apos; x=&quot;'>",
			want: stanza.Header{From: `a' x="`, Namespace: "jabber:server"}},
		{name: "dialback", in: "<stream:stream xmlns='jabber:server' " + stream + " xmlns:d='jabber:server:dialback'>",
			want: stanza.Header{Namespace: "jabber:server", Dialback: true}},
		{name: "attributes of other namespaces", in: "<stream:stream " + stream + " xmlns:x='urn:x' x:to='evil' stream:from='evil'>"},
		{name: "other namespace", in: "<stream:stream xmlns:stream='urn:x'>", cond: stanza.StreamInvalidNamespace},
		{name: "other element", in: "<stream:features " + stream + ">", cond: stanza.StreamBadFormat},
		{name: "undeclared prefix", in: "<stream:stream>", cond: stanza.StreamNotWellFormed},
		{name: "DOCTYPE", in: "<!DOCTYPE x>", cond: stanza.StreamRestrictedXML},
		{name: "HTTP", in: "GET / HTTP/1.1\r\n\r\n", cond: stanza.StreamNotWellFormed},
		{name: "too long", in: "<stream:stream " + stream + " to='" + strings.Repeat("x", 5000), cond: stanza.StreamPolicyViolation},
		{name: "nothing", err: io.ErrUnexpectedEOF},
		{name: "half", in: "<stream:stream " + stream, err: io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := NewTCP(&canned{in: strings.NewReader(tt.in)}, TCPOptions{Limits: stanza.Limits{Bytes: 4096}})
			h, err := s.Open()
			if got := streamCondition(err); got != tt.cond || tt.err != nil && !errors.Is(err, tt.err) || (err != nil) != (tt.err != nil || tt.cond != "") {
				t.Fatalf("error: got %v, want condition %q or %v", err, tt.cond, tt.err)
			}
			if h != tt.want {
				t.Errorf("header: got %+v, want %+v", h, tt.want)
			}
		})
	}
}

// Whatever a peer has put into its header comes back as values only.
func TestHeaderInjection(t *testing.T) {
	evil := []string{"a'b", `a"b`, "x' onload='y", "><evil/>", "]]>", "&amp;", "a\tb\nc\rd", "äöü 🔑", "/'><stream:features/>"}
	for _, v := range evil {
		c := &canned{in: strings.NewReader("")}
		want := stanza.Header{From: v, To: v, ID: v, Lang: v, Version: "1.0", Namespace: stanza.NSClient}
		if err := NewTCP(c, TCPOptions{}).Header(want, stanza.Batch{Bytes: []byte("<x/>")}); err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(&c.out)
		d.Token() // XML declaration
		tok, err := d.Token()
		start, ok := tok.(xml.StartElement)
		if err != nil || !ok {
			t.Fatalf("%q: got %v, error %v; want a start tag", v, tok, err)
		}
		attrs := map[string]string{}
		for _, a := range start.Attr {
			attrs[a.Name.Local] = a.Value
		}
		for _, name := range []string{"from", "to", "id", "lang"} {
			if attrs[name] != v {
				t.Errorf("%s: got %q, want %q", name, attrs[name], v)
			}
		}
		if len(attrs) != 7 || start.Name != (xml.Name{Space: stanza.NSStream, Local: "stream"}) {
			t.Errorf("%q: start tag is %v with %v", v, start.Name, attrs)
		}
		if tok, _ := d.Token(); tok == nil || tok.(xml.StartElement).Name.Local != "x" {
			t.Errorf("%q: got %v after the header, want the batch", v, tok)
		}
	}
}

func TestRead(t *testing.T) {
	in := clientHeader + "<message id='1'><body>hi</body></message> <a xmlns='urn:xmpp:sm:3' h='1'/>" +
		"<message xmlns='urn:other'/><iq id='2' type='get' xmlns='jabber:client'><query xmlns='urn:q'/></iq></stream:stream>"
	s := NewTCP(&canned{in: strings.NewReader(in)}, TCPOptions{})
	if _, err := s.Open(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		e, err := s.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case e.Stanza != nil && e.Nonza == nil:
			got = append(got, e.Stanza.Kind.String()+" "+e.Stanza.ID)
		case e.Nonza != nil && e.Stanza == nil:
			got = append(got, e.Nonza.Name.Space+" "+e.Nonza.Name.Local)
		default:
			t.Fatalf("got %+v, want one of a stanza and a nonza", e)
		}
		if e.Size <= 0 {
			t.Errorf("size: got %d", e.Size)
		}
	}
	want := "message 1, urn:xmpp:sm:3 a, urn:other message, iq 2"
	if g := strings.Join(got, ", "); g != want {
		t.Errorf("got %s\nwant %s", g, want)
	}
	if _, err := s.Read(); err != io.EOF {
		t.Errorf("after the end: got %v, want EOF", err)
	}
}

func TestReadErrors(t *testing.T) {
	deep := strings.Repeat("<x>", 200)
	tests := []struct {
		name, in string
		cond     stanza.StreamCondition
		text     bool // policy violations say which
		err      error
	}{
		{name: "not well-formed", in: "<message></iq>", cond: stanza.StreamNotWellFormed},
		{name: "comment", in: "<!-- x -->", cond: stanza.StreamRestrictedXML},
		{name: "text between", in: "hello", cond: stanza.StreamBadFormat},
		{name: "too large", in: "<message>" + strings.Repeat("x", 5000), cond: stanza.StreamPolicyViolation, text: true},
		{name: "too deep", in: deep, cond: stanza.StreamPolicyViolation, text: true},
		{name: "too many elements", in: "<x>" + strings.Repeat("<y/>", 100) + "</x>", cond: stanza.StreamPolicyViolation, text: true},
		{name: "connection ends between", err: io.ErrUnexpectedEOF},
		{name: "connection ends within", in: "<message>", err: io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := NewTCP(&canned{in: strings.NewReader(clientHeader + tt.in)}, TCPOptions{})
			if _, err := s.Open(); err != nil {
				t.Fatal(err)
			}
			s.SetLimits(stanza.Limits{Bytes: 4096, Elements: 50, Depth: 20})
			_, err := s.Read()
			if streamCondition(err) != tt.cond || tt.err != nil && !errors.Is(err, tt.err) || err == nil {
				t.Fatalf("error: got %v, want condition %q or %v", err, tt.cond, tt.err)
			}
			var e *stanza.StreamError
			if errors.As(err, &e) && (e.Text != "") != tt.text {
				t.Errorf("text for the peer: got %q, want one: %v", e.Text, tt.text)
			}
		})
	}
}

// A stanza that is wrong in itself does not end the stream.
func TestReadStanzaError(t *testing.T) {
	s := NewTCP(&canned{in: strings.NewReader(clientHeader + "<message to='@'/><message id='2'/>")}, TCPOptions{})
	if _, err := s.Open(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Read()
	if err == nil || streamCondition(err) != "" {
		t.Fatalf("first: got %v, want an error that is no stream error", err)
	}
	if e, err := s.Read(); err != nil || e.Stanza == nil || e.Stanza.ID != "2" {
		t.Errorf("second: got %+v, error %v; want the second message", e, err)
	}
}

// After SASL both sides start over, and what the client sent early counts.
func TestRestart(t *testing.T) {
	in := clientHeader + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>" +
		strings.Replace(clientHeader, "'en'", "'de'", 1) + "<presence id='1'/>"
	c := &canned{in: strings.NewReader(in)}
	s := NewTCP(c, TCPOptions{})
	for i, lang := range []string{"en", "de"} {
		h, err := s.Open()
		if err != nil || h.Lang != lang {
			t.Fatalf("header %d: got %+v, error %v; want language %s", i, h, err, lang)
		}
		if err := s.Header(stanza.Header{ID: "x", Namespace: stanza.NSClient}, stanza.Batch{}); err != nil {
			t.Fatal(err)
		}
		if e, err := s.Read(); err != nil || (e.Nonza == nil) != (i == 1) {
			t.Fatalf("element %d: got %+v, error %v", i, e, err)
		}
	}
	if got := strings.Count(c.out.String(), "<stream:stream "); got != 2 {
		t.Errorf("headers of ours: got %d, want 2", got)
	}
}

func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := pair(t)
		open(t, s, r)
		s.SetReadDeadline(time.Now().Add(time.Minute))
		start := time.Now()
		if _, err := s.Read(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want %v", err, os.ErrDeadlineExceeded)
		}
		if got := time.Since(start); got != time.Minute {
			t.Errorf("waited %v, want 1m", got)
		}
		s.SetReadDeadline(time.Time{})
		var sent sync.WaitGroup
		sent.Go(func() { r.send(t, "<presence/>") })
		if _, err := s.Read(); err != nil {
			t.Errorf("after the deadline was taken back: %v", err)
		}
		sent.Wait()
	})
}

// Limits hold for the element that Read waits for already, if nothing of it has
// come.
func TestSetLimitsWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := pair(t)
		s.SetLimits(stanza.Limits{Bytes: 1000})
		open(t, s, r)
		errs := make(chan error)
		read := func() {
			_, err := s.Read()
			errs <- err
		}
		message := "<message><body>" + strings.Repeat("x", 2000) + "</body></message>"
		go read()
		synctest.Wait()
		s.SetLimits(stanza.Limits{Bytes: 4000})
		r.send(t, message)
		if err := <-errs; err != nil {
			t.Errorf("2000 bytes, limit raised before: got %v, want no error", err)
		}
		go read()
		r.send(t, message[:10])
		synctest.Wait()
		s.SetLimits(stanza.Limits{Bytes: 1000})
		r.send(t, message[10:])
		if err := <-errs; err != nil {
			t.Errorf("2000 bytes, limit lowered in the middle: got %v, want no error", err)
		}
	})
}

// Heard is told of all that comes, white space included.
func TestHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		heard := 0
		s := NewTCP(a, TCPOptions{Heard: func() { heard++ }})
		r := listen(t, b)
		open(t, s, r)
		before := heard
		var read sync.WaitGroup
		read.Go(func() {
			if _, err := s.Read(); err != nil {
				t.Error(err)
			}
		})
		for range 3 {
			r.send(t, " ")
		}
		r.send(t, "<message/>")
		read.Wait()
		if before == 0 || heard != before+4 {
			t.Errorf("got %d calls for the header and %d for four writes more", before, heard-before)
		}
		_ = a.Close()
	})
}

// The rate holds for what the peer sends, from now on.
func TestSetRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := pair(t)
		open(t, s, r)
		s.SetRate(shaper.Rate{BytesPerSecond: 100, Burst: 100})
		var sent sync.WaitGroup
		sent.Go(func() {
			for range 4 {
				r.send(t, "<message><body>"+strings.Repeat("x", 500)+"</body></message>")
			}
		})
		start := time.Now()
		for range 4 {
			if _, err := s.Read(); err != nil {
				t.Fatal(err)
			}
		}
		sent.Wait()
		if got := time.Since(start); got < 10*time.Second || got > 30*time.Second {
			t.Errorf("2,100 bytes at 100 bytes/s took %v, want about 20 s", got)
		}
	})
}

// addressed is a connection that comes from anywhere.
type addressed struct {
	canned
	addr net.Addr
}

func (a *addressed) RemoteAddr() net.Addr { return a.addr }

// named is an address of another kind.
type named string

func (named) Network() string  { return "memory" }
func (n named) String() string { return string(n) }

func TestPeer(t *testing.T) {
	tests := []struct {
		name string
		addr net.Addr
		want stanza.Peer
	}{
		{"IPv4", &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7}, stanza.Peer{Name: "tcp", Addr: netip.MustParseAddrPort("192.0.2.1:7")}},
		{"IPv6", &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 7}, stanza.Peer{Name: "tcp", Addr: netip.MustParseAddrPort("[2001:db8::1]:7")}},
		{"mapped", named("[::ffff:192.0.2.1]:7"), stanza.Peer{Name: "tcp", Addr: netip.MustParseAddrPort("192.0.2.1:7")}},
		{"unix", &net.UnixAddr{Net: "unix", Name: "/run/x"}, stanza.Peer{Name: "unix", Secure: true}},
		{"unix without name", &net.UnixAddr{Net: "unix"}, stanza.Peer{Name: "unix", Secure: true}},
		{"memory", named("pipe"), stanza.Peer{Name: "tcp"}},
		{"none", nil, stanza.Peer{Name: "tcp"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := NewTCP(&addressed{addr: tt.addr}, TCPOptions{})
			if got := s.Peer(); got.Addr != tt.want.Addr || got.Name != tt.want.Name || got.Secure != tt.want.Secure || got.TLS != nil {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// FuzzOpen sends any header: nothing panics, and what we answer is well-formed.
func FuzzOpen(f *testing.F) {
	f.Add(clientHeader)
	f.Add(clientHeader + "<message><body>x</body></message></stream:stream>")
	f.Add("<stream:stream xmlns:stream='http://etherx.jabber.org/streams' from='a&apos;b' to='&#9;'>")
	f.Add("<stream xmlns='http://etherx.jabber.org/streams' xml:lang='\"'><x/>")
	f.Add("GET / HTTP/1.1")
	f.Fuzz(func(t *testing.T, in string) {
		c := &canned{in: strings.NewReader(in)}
		s := NewTCP(c, TCPOptions{Limits: stanza.Limits{Bytes: 4096}})
		h, err := s.Open()
		var reason *stanza.StreamError
		if err == nil {
			reply := stanza.Header{From: h.To, To: h.From, ID: NewStreamID(), Lang: h.Lang, Version: h.Version, Namespace: stanza.NSClient}
			if err := s.Header(reply, stanza.Batch{}); err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = s.Read()
			}
		}
		if !errors.As(err, &reason) && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
			var e *stanza.Error
			if !errors.As(err, &e) {
				t.Fatalf("got error %v", err)
			}
		}
		if err := s.Close(reason); err != nil {
			t.Fatal(err)
		}
		if out := c.out.String(); out != "" {
			checkXML(t, out, false)
		}
	})
}
