package xmlstream

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func TestHeader(t *testing.T) {
	const start = "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client'>"
	tests := []struct {
		name, doc string
		want      Kind
	}{
		{"plain", start, 0},
		{"declaration", "<?xml version='1.0'?>" + start, 0},
		{"declaration and space", "<?xml version='1.0'?> \r\n" + start, 0},
		{"encoding", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>" + start, 0},
		{"encoding in lower case", "<?xml version='1.0' encoding='utf-8' ?>" + start, 0},
		{"standalone", "<?xml\tversion = '1.0'\nencoding='UTF-8' standalone='yes'?>" + start, 0},
		{"space before", "\n" + start, 0},
		{"empty stream", "<a/>", 0},
		{"space before the declaration", " <?xml version='1.0'?>" + start, NotWellFormed},
		{"two declarations", "<?xml version='1.0'?><?xml version='1.0'?>" + start, NotWellFormed},
		{"version 1.1", "<?xml version='1.1'?>" + start, NotWellFormed},
		{"no version", "<?xml encoding='UTF-8'?>" + start, NotWellFormed},
		{"empty declaration", "<?xml ?>" + start, NotWellFormed},
		{"wrong order", "<?xml version='1.0' standalone='no' encoding='UTF-8'?>" + start, NotWellFormed},
		{"no space", "<?xml version='1.0'encoding='UTF-8'?>" + start, NotWellFormed},
		{"unknown pseudo attribute", "<?xml version='1.0' x='y'?>" + start, NotWellFormed},
		{"standalone maybe", "<?xml version='1.0' standalone='maybe'?>" + start, NotWellFormed},
		{"unclosed quote", "<?xml version='1.0?>" + start, NotWellFormed},
		{"too long", "<?xml version='1.0'" + strings.Repeat(" ", 600) + "?>" + start, NotWellFormed},
		{"Latin-1", "<?xml version='1.0' encoding='ISO-8859-1'?>" + start, UnsupportedEncoding},
		{"UTF-16", "<?xml version='1.0' encoding='UTF-16'?>" + start, UnsupportedEncoding},
		{"byte order mark", "\uFEFF" + start, NotWellFormed},
		{"text", "GET / HTTP/1.1\r\n", NotWellFormed},
		{"TLS", "\x16\x03\x01", NotWellFormed},
		{"comment", "<!-- x -->" + start, RestrictedXML},
		{"DOCTYPE", "<!DOCTYPE stream>" + start, RestrictedXML},
		{"instruction", "<?php x ?>" + start, RestrictedXML},
		{"style sheet", "<?xml-stylesheet?>" + start, RestrictedXML},
		{"end tag", "</a>", NotWellFormed},
		{"undeclared prefix", "<stream:stream>", NotWellFormed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{
				"at once":      strings.NewReader(tt.doc),
				"byte by byte": iotest.OneByteReader(strings.NewReader(tt.doc)),
			} {
				_, err := NewScanner(r, Limits{}).Header()
				if got := kindOf(t, err); got != tt.want {
					t.Errorf("%s: got %v, want kind %v", how, err, tt.want)
				}
			}
		})
	}
}

func TestHeaderFields(t *testing.T) {
	h, err := NewScanner(strings.NewReader("<s:stream to='a&amp;b' xml:lang=\"de\n\" xmlns:s='urn:s' xmlns='jabber:client' s:x='1'>"), Limits{}).Header()
	if err != nil {
		t.Fatal(err)
	}
	want := "{urn:s}s:stream {}to=a&b to='a&amp;b' {http://www.w3.org/XML/1998/namespace}lang=de  xml:lang=\"de\n\"" +
		" {urn:s}x=1 s:x='1' s->urn:s xmlns:s='urn:s' ->jabber:client xmlns='jabber:client'"
	if got := describe(h); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, ok := h.Attr("", "to"); !ok || string(got) != "a&b" {
		t.Errorf("got to %q, %v, want a&b", got, ok)
	}
	if _, ok := h.Attr("", "from"); ok {
		t.Error("got a from, want none")
	}
}

func TestEmptyStream(t *testing.T) {
	lines, err := scanAll(strings.NewReader("<a/>"), Limits{})
	if err != nil || len(lines) != 1 {
		t.Errorf("got %q, %v, want one line", lines, err)
	}
}

func TestNextBeforeHeader(t *testing.T) {
	if _, err := NewScanner(strings.NewReader("<a/>"), Limits{}).Next(); err != errNoHeader {
		t.Errorf("got %v, want %v", err, errNoHeader)
	}
}

func TestRestart(t *testing.T) {
	second := "<?xml version='1.0'?><q:stream xmlns:q='urn:q'><a/><q:b/><stream:c/>"
	for _, gap := range []string{"", "\n", "<ignored/>"} {
		t.Run(gap, func(t *testing.T) {
			s := NewScanner(strings.NewReader(testHeader+"<auth/>"+gap+second), Limits{})
			mustHeader(t, s)
			mustNext(t, s, "{jabber:client}:auth")
			if gap == "<ignored/>" {
				mustNext(t, s, "{jabber:client}:ignored")
			}
			if got := mustHeader(t, s); string(got.Name.Space) != "urn:q" {
				t.Errorf("got stream in %q, want urn:q", got.Name.Space)
			}
			mustNext(t, s, "{}:a")
			mustNext(t, s, "{urn:q}q:b")
			if _, err := s.Next(); kindOf(t, err) != NotWellFormed {
				t.Errorf("prefix of the old stream: got %v, want kind %v", err, NotWellFormed)
			}
		})
	}
}

func TestDiscard(t *testing.T) {
	r := io.MultiReader(strings.NewReader(testHeader+"<starttls/><iq/> <partial"), strings.NewReader(testHeader+"<a/>"))
	s := NewScanner(r, Limits{})
	mustHeader(t, s)
	mustNext(t, s, "{jabber:client}:starttls")
	if got, want := s.Buffered(), len("<iq/> <partial"); got != want {
		t.Errorf("got %d bytes buffered, want %d", got, want)
	}
	s.Discard()
	if got := s.Buffered(); got != 0 {
		t.Errorf("got %d bytes buffered after Discard, want 0", got)
	}
	mustHeader(t, s)
	mustNext(t, s, "{jabber:client}:a")
}

func TestStreamEnd(t *testing.T) {
	s := NewScanner(strings.NewReader(testHeader+"<a/></stream:stream \n> trailing"), Limits{})
	mustHeader(t, s)
	mustNext(t, s, "{jabber:client}:a")
	for range 2 {
		if _, err := s.Next(); err != io.EOF {
			t.Errorf("got %v, want %v", err, io.EOF)
		}
	}
}

func TestStreamEndMismatch(t *testing.T) {
	for _, end := range []string{"</stream>", "</stream:stream2>", "</x:stream>", "</stream:stream x='y'>"} {
		s := NewScanner(strings.NewReader(testHeader+end), Limits{})
		mustHeader(t, s)
		if _, err := s.Next(); kindOf(t, err) != NotWellFormed {
			t.Errorf("%s: got %v, want kind %v", end, err, NotWellFormed)
		}
	}
}

// TestDeadline interrupts reads: the scan goes on where it stopped.
func TestDeadline(t *testing.T) {
	doc := testHeader + "<a><b c='d'>text</b></a></stream:stream>"
	want, _ := scanAll(strings.NewReader(doc), Limits{})
	for i := range doc {
		r := io.MultiReader(strings.NewReader(doc[:i]), iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(doc[i:]))))
		got, err := scanRetry(&timeouts{r: r})
		if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("at %d: got %q, %v, want %q", i, got, err, want)
		}
	}
}

// timeouts passes a deadline between any two reads.
type timeouts struct {
	r    io.Reader
	late bool
}

func (r *timeouts) Read(p []byte) (int, error) {
	if r.late = !r.late; r.late {
		return 0, os.ErrDeadlineExceeded
	}
	return r.r.Read(p[:1])
}

func scanRetry(r io.Reader) (lines []string, err error) {
	s := NewScanner(r, Limits{})
	again := func(err error) bool {
		return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, iotest.ErrTimeout)
	}
	h, err := s.Header()
	for again(err) {
		h, err = s.Header()
	}
	if err != nil {
		return nil, err
	}
	lines = append(lines, describe(h))
	for {
		e, err := s.Next()
		switch {
		case again(err):
		case err == io.EOF:
			return lines, nil
		case err != nil:
			return lines, err
		default:
			lines = append(lines, describe(&e.Start)+" "+string(e.Raw)+" "+string(e.Inner)+
				" {"+string(e.Child.Space)+"}"+string(e.Child.Local)+string(e.AppendOuterDecls(nil)))
		}
	}
}

func TestErrorStays(t *testing.T) {
	s := NewScanner(strings.NewReader(testHeader+"<a>\x01</a><b/>"), Limits{})
	mustHeader(t, s)
	_, first := s.Next()
	_, second := s.Next()
	_, third := s.Header()
	if first == nil || second != first || third != first {
		t.Errorf("got %v, %v, %v, want the same error three times", first, second, third)
	}
}

func TestElement(t *testing.T) {
	s := NewScanner(strings.NewReader(testHeader+`<m:x xmlns:m='urn:&#109;' a=' &#10;&lt;' stream:b='1'>text<stream:c/><d xmlns='urn:d'/></m:x>`), Limits{})
	mustHeader(t, s)
	e := mustNext(t, s, "{urn:m}m:x {}a= \n< a=' &#10;&lt;' {http://etherx.jabber.org/streams}b=1 stream:b='1' m->urn:m xmlns:m='urn:&#109;'")
	if !e.Child.Is("http://etherx.jabber.org/streams", "c") {
		t.Errorf("got child %s %s, want stream:c", e.Child.Space, e.Child.Local)
	}
	if want := "text<stream:c/><d xmlns='urn:d'/>"; string(e.Inner) != want {
		t.Errorf("got inner %q, want %q", e.Inner, want)
	}
	if e.Elements != 3 || e.Children != 2 {
		t.Errorf("got %d elements, %d children, want 3 and 2", e.Elements, e.Children)
	}
	if got, want := string(e.AppendOuterDecls(nil)), " xmlns:stream='http://etherx.jabber.org/streams'"; got != want {
		t.Errorf("got declarations %q, want %q", got, want)
	}
	if got := string(e.Outer()); got != "jabber:client" {
		t.Errorf("got outer default %q, want jabber:client", got)
	}
}

func TestOuterDeclsOfOthers(t *testing.T) {
	for xml, want := range map[string]string{
		"<a/>":                                "",
		"<a xmlns:p='urn:x'><p:b/></a>":       "",
		"<a><p:b/></a>":                       " xmlns:p='&lt;&apos;&amp;&#10;'",
		"<a><b xmlns:p='u'/><c p:d='1'/></a>": " xmlns:p='&lt;&apos;&amp;&#10;'",
		"<a p:b='1'><stream:c/></a>":          " xmlns:p='&lt;&apos;&amp;&#10;' xmlns:stream='urn:s'",
	} {
		s := NewScanner(strings.NewReader(`<stream:s xmlns:p="&lt;'&amp;&#10;" xmlns:stream='urn:s' xmlns='jabber:client'>`+xml), Limits{})
		mustHeader(t, s)
		e, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got := string(e.AppendOuterDecls(nil)); got != want {
			t.Errorf("%s: got %q, want %q", xml, got, want)
		}
	}
}

func TestIdleHoldsNoBuffer(t *testing.T) {
	pr, pw := io.Pipe()
	s := NewScanner(pr, Limits{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		pw.Write([]byte(testHeader + strings.Repeat("<a>"+strings.Repeat("x", 40000)+"</a>\n", 3)))
		pw.CloseWithError(os.ErrDeadlineExceeded)
	}()
	mustHeader(t, s)
	for range 3 {
		if e, err := s.Next(); err != nil || len(e.Raw) != 40007 {
			t.Fatalf("got %v, want an element", err)
		}
	}
	if _, err := s.Next(); err != os.ErrDeadlineExceeded {
		t.Fatalf("got %v, want %v", err, os.ErrDeadlineExceeded)
	}
	<-done
	if s.w != nil || s.buf != nil {
		t.Error("a scanner that waits holds a buffer")
	}
}

// readyReader tells that the next Read will not wait.
type readyReader struct {
	io.Reader
	sizes []int // of the buffers that it was given
}

func (r *readyReader) Ready() bool { return true }

func (r *readyReader) Read(p []byte) (int, error) {
	r.sizes = append(r.sizes, len(p))
	return r.Reader.Read(p)
}

// A scanner that never waits in Read has no buffer of its own, and reads all
// that there is in one go.
func TestReadyReader(t *testing.T) {
	input := testHeader + strings.Repeat("<a>"+strings.Repeat("x", 1000)+"</a>", 10)
	r := &readyReader{Reader: strings.NewReader(input)}
	s := NewScanner(r, Limits{})
	mustHeader(t, s)
	for range 10 {
		if s.Rest() {
			t.Fatal("the scanner has dropped what it had read")
		}
		if e, err := s.Next(); err != nil || len(e.Raw) != 1007 {
			t.Fatalf("got %v, want an element", err)
		}
	}
	if !s.Rest() || s.w != nil || s.buf != nil {
		t.Error("the scanner holds a buffer before it waits")
	}
	if len(r.sizes) != 1 || r.sizes[0] != poolSize {
		t.Errorf("got reads of %d bytes, want one of %d", r.sizes, poolSize)
	}
	if _, err := s.Next(); err != io.ErrUnexpectedEOF {
		t.Fatalf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
	if s.w != nil || s.buf != nil || s.idle != nil {
		t.Error("the scanner holds a buffer")
	}
}

// TestAfterLargeElement checks that a large buffer goes once it is not needed.
func TestAfterLargeElement(t *testing.T) {
	large := "<a>" + strings.Repeat("x", 100000) + "</a>"
	s := NewScanner(strings.NewReader(testHeader+large+"<b/>"+large+"<b/>"), Limits{})
	mustHeader(t, s)
	for _, want := range []int{len(large), 4, len(large), 4} {
		e, err := s.Next()
		if err != nil || len(e.Raw) != want {
			t.Fatalf("got %v, want an element of %d bytes", err, want)
		}
		if want == 4 && s.Buffered() == 0 && len(s.buf) > poolSize {
			t.Errorf("got a buffer of %d bytes for a small element, want at most %d", len(s.buf), poolSize)
		}
	}
}

func mustHeader(t *testing.T, s *Scanner) *Start {
	t.Helper()
	h, err := s.Header()
	if err != nil {
		t.Fatalf("header: %v", err)
	}
	return h
}

func mustNext(t *testing.T, s *Scanner, want string) *Element {
	t.Helper()
	e, err := s.Next()
	if err != nil {
		t.Fatalf("got %v, want %s", err, want)
	}
	if got := describe(&e.Start); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	return e
}

func TestParseElement(t *testing.T) {
	tests := []struct {
		name, doc string
		want      Kind
	}{
		{"element", "<a><b/></a>", 0},
		{"white space around", "\n<a/> ", 0},
		{"nothing", "", NotWellFormed},
		{"white space", " ", NotWellFormed},
		{"two", "<a/><b/>", NotWellFormed},
		{"text before", "x<a/>", BadFormat},
		{"text after", "<a/>x", NotWellFormed},
		{"incomplete", "<a><b/>", NotWellFormed},
		{"cut off", "<a", NotWellFormed},
		{"end tag", "</a>", NotWellFormed},
		{"declaration", "<?xml version='1.0'?><a/>", NotWellFormed},
		{"too large", "<a>" + strings.Repeat("x", 300) + "</a>", TooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := ParseElement([]byte(tt.doc), "urn:d", Limits{Bytes: 200})
			if got := kindOf(t, err); got != tt.want {
				t.Fatalf("got %v, want kind %v", err, tt.want)
			}
			if err == nil && !e.Name.Is("urn:d", "a") {
				t.Errorf("got %s %s, want a in urn:d", e.Name.Space, e.Name.Local)
			}
			if err == nil && !bytes.Equal(e.Raw, bytes.TrimSpace([]byte(tt.doc))) {
				t.Errorf("got %q, want %q", e.Raw, tt.doc)
			}
		})
	}
}
