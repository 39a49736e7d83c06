package xmlstream

import (
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

func TestLimits(t *testing.T) {
	l := Limits{Bytes: 200, Elements: 5, Depth: 3, Attrs: 4}
	fill := func(total int, before, after string) string {
		return before + strings.Repeat("x", total-len(before)-len(after)) + after
	}
	tests := []struct {
		name, xml string
		want      Kind
	}{
		{"bytes", fill(200, "<a>", "</a>"), 0},
		{"one byte more", fill(201, "<a>", "</a>"), TooLarge},
		{"bytes in a value", fill(200, "<a b='", "'/>"), 0},
		{"one byte more in a value", fill(201, "<a b='", "'/>"), TooLarge},
		{"bytes of a name", fill(200, "<a", "/>"), 0},
		{"one byte more of a name", fill(201, "<a", "/>"), TooLarge},
		{"fault before the limit", "<a b='<" + strings.Repeat("x", 300) + "'/>", NotWellFormed},
		{"fault after the limit", "<a b='" + strings.Repeat("x", 300) + "<'/>", TooLarge},
		{"elements", "<a><b/><b/><b/><b/></a>", 0},
		{"one element more", "<a><b/><b/><b/><b/><b/></a>", TooManyElements},
		{"depth", "<a><b><c/></b></a>", 0},
		{"one level more", "<a><b><c><d/></c></b></a>", TooDeep},
		{"attributes", "<a b='1' c='2' d='3' xmlns='4'/>", 0},
		{"one attribute more", "<a b='1' c='2' d='3' xmlns='4' e='5'/>", TooManyAttrs},
		{"each element counts anew", strings.Repeat("<a b='1' c='2'><b><c/></b></a> ", 50), 0},
		{"white space does not count", strings.Repeat(" \n", 5000), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := testHeader + tt.xml + "</stream:stream>"
			for how, r := range map[string]io.Reader{
				"at once":      strings.NewReader(doc),
				"byte by byte": iotest.OneByteReader(strings.NewReader(doc)),
				"halves":       iotest.HalfReader(strings.NewReader(doc)),
			} {
				_, err := scanAll(r, l)
				if got := kindOf(t, err); got != tt.want {
					t.Errorf("%s: got %v, want kind %v", how, err, tt.want)
				}
			}
		})
	}
}

func TestScopeLimits(t *testing.T) {
	declare := func(from, n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(" xmlns:p" + strconv.Itoa(from+i) + "='u'")
		}
		return b.String()
	}
	nested := "<a" + declare(0, 100) + "><a" + declare(100, 100) + "><a" + declare(200, 56)
	l := Limits{}
	tests := []struct {
		name, doc string
		want      Kind
	}{
		{"on the header", "<a" + declare(0, 64) + "></a>", 0},
		{"one more on the header", "<a" + declare(0, 65) + "></a>", TooManyPrefixes},
		{"long on the header", "<a xmlns:p='" + strings.Repeat("u", 1013) + "'></a>", 0},
		{"one byte longer", "<a xmlns:p='" + strings.Repeat("u", 1014) + "'></a>", TooManyPrefixes},
		{"longer once escaped", "<a xmlns:p=\"" + strings.Repeat("'", 200) + "\"></a>", TooManyPrefixes},
		{"in scope", testHeader + nested + "/></a></a></stream:stream>", 0},
		{"one more in scope", testHeader + nested + " xmlns='u'/></a></a></stream:stream>", TooManyPrefixes},
		{"one after another", testHeader + "<a>" + strings.Repeat("<b"+declare(0, 100)+"/>", 10) + "</a></stream:stream>", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := scanAll(strings.NewReader(tt.doc), l)
			if got := kindOf(t, err); got != tt.want {
				t.Errorf("got %v, want kind %v", err, tt.want)
			}
		})
	}
}

func TestSetLimits(t *testing.T) {
	s := NewScanner(strings.NewReader(testHeader+"<a b='12345678'/><a b='12345678'/>"), Limits{})
	mustHeader(t, s)
	mustNext(t, s, "{jabber:client}:a {}b=12345678 b='12345678'")
	s.SetLimits(Limits{Bytes: 10})
	if _, err := s.Next(); kindOf(t, err) != TooLarge {
		t.Errorf("got %v, want kind %v", err, TooLarge)
	}
}

// TestPrefixLookups counts how often prefixes are looked up in a tag whose
// attributes differ in nothing else: not for every pair of them.
func TestPrefixLookups(t *testing.T) {
	const n = 60
	var decls, attrs strings.Builder
	for i := range n {
		decls.WriteString(" xmlns:p" + strconv.Itoa(i) + "='u" + strconv.Itoa(i) + "'")
		attrs.WriteString(" p" + strconv.Itoa(i) + ":a=''")
	}
	s := NewScanner(strings.NewReader(testHeader+"<a"+decls.String()+"><b"+attrs.String()+"/></a>"), Limits{})
	mustHeader(t, s)
	if _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	if got := s.w.lookups; got > 2*n {
		t.Errorf("%d prefixes were looked up for %d attributes, want one each", got, n)
	}
}

// TestHeaderLimit checks that a stream header is bounded too.
func TestHeaderLimit(t *testing.T) {
	for _, most := range []int{1, 500} {
		_, err := NewScanner(strings.NewReader("<a b='"+strings.Repeat("x", 1000)), Limits{Bytes: most}).Header()
		if kindOf(t, err) != TooLarge {
			t.Errorf("at %d bytes: got %v, want kind %v", most, err, TooLarge)
		}
	}
}

// endless is a reader of a prefix and then of the same byte, up to a number that
// stands for far too many.
type endless struct {
	prefix string
	fill   byte
	read   int
	max    int
}

func (r *endless) Read(p []byte) (int, error) {
	if r.prefix != "" {
		n := copy(p, r.prefix)
		r.prefix = r.prefix[n:]
		return n, nil
	}
	if r.read >= r.max {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = r.fill
	}
	r.read += len(p)
	return len(p), nil
}

// TestEndless sends 1 GiB of one thing: the scanner stops at its limit, with
// memory of about the limit.
func TestEndless(t *testing.T) {
	const limit = 1 << 20
	for name, prefix := range map[string]string{
		"attribute":      "<a b='",
		"name":           "<",
		"attribute name": "<a ",
		"text":           "<a>",
		"CDATA":          "<a><![CDATA[",
		"end tag":        "<a></a ",
		"stream end":     "</stream:stream ",
		"reference":      "<a>&#",
	} {
		t.Run(name, func(t *testing.T) {
			fill := byte('0')
			switch name {
			case "name", "attribute name":
				fill = 'x'
			case "end tag", "stream end":
				fill = ' '
			}
			r := &endless{prefix: testHeader + prefix, fill: fill, max: 1 << 30}
			s := NewScanner(r, Limits{Bytes: limit})
			mustHeader(t, s)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := s.Next()
			runtime.ReadMemStats(&after)
			want := TooLarge
			if name == "reference" {
				want = RestrictedXML
			}
			if kindOf(t, err) != want {
				t.Errorf("got %v, want kind %v", err, want)
			}
			if r.read > limit+2*poolSize {
				t.Errorf("read %d bytes, want about %d", r.read, limit)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 3*limit {
				t.Errorf("allocated %d bytes in all, want at most %d", got, 3*limit)
			}
		})
	}
}

// TestWhiteSpace sends white space keepalives without end: nothing grows.
func TestWhiteSpace(t *testing.T) {
	s := NewScanner(&endless{prefix: testHeader, fill: ' ', max: 64 << 20}, Limits{})
	mustHeader(t, s)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := s.Next(); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<16 {
		t.Errorf("allocated %d bytes, want next to none", got)
	}
}

// TestWork counts how often bytes are looked at and moved while large things
// arrive one byte a read: at most four times each.
func TestWork(t *testing.T) {
	const size = 100 << 10
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for name, xml := range map[string]string{
		"text":            "<a>" + fill("x") + "</a>",
		"text in UTF-8":   "<a>" + fill("я") + "</a>",
		"references":      "<a>" + fill("&amp;") + "</a>",
		"brackets":        "<a>" + fill("]") + "</a>",
		"CDATA":           "<a><![CDATA[" + fill("]") + "]]></a>",
		"attribute":       "<a b='" + fill("x") + "'/>",
		"name":            "<" + fill("a") + "/>",
		"white space":     "<a" + fill(" ") + "/>",
		"end tag":         "<a></a" + fill(" ") + ">",
		"stream end":      "</stream:stream" + fill(" ") + ">",
		"many elements":   "<a>" + fill("<b c='d'>e</b>")[:3000*14] + "</a>",
		"many attributes": "<a>" + fill("<b c='1' d='2' e='3'/>") + "</a>",
	} {
		t.Run(name, func(t *testing.T) {
			s := NewScanner(iotest.OneByteReader(strings.NewReader(testHeader+xml)), Limits{Elements: 100000})
			mustHeader(t, s)
			work := 0
			s.w.work = 0
			for {
				_, err := s.Next()
				if s.w != nil {
					work = max(work, s.w.work)
				}
				if err == io.EOF || err == nil {
					break
				}
				t.Fatal(err)
			}
			if limit := 4*len(xml) + 100; work > limit || work < len(xml)/2 {
				t.Errorf("looked at or moved %d bytes of %d, want at most %d", work, len(xml), limit)
			}
		})
	}
}
