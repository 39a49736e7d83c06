package xmpp

import (
	"errors"
	"testing"
)

func TestElementLen(t *testing.T) {
	for _, c := range []struct {
		name, element, rest string
	}{
		{"message", "<message to='a'><body>x</body></message>", "<message"},
		{"empty message", "<message to='a'/>", "<"},
		{"presence", "<presence from='u1@h/r'><status>1</status></presence>", ""},
		{"empty", "<r xmlns='urn:xmpp:sm:3'/>", "<presence/>"},
		{"nested", "<iq id='1'><query><item a='/>'/><item><group>x</group></item></query></iq>", "</stream:stream>"},
		{"nested of one name", "<a><a><a/></a></a>", "<a>"},
		{"'>' in a value", `<iq id="a>b" to='">'><x/></iq>`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n, err := elementLen([]byte(c.element + c.rest)); n != len(c.element) || err != nil {
				t.Errorf("got %d, %v; want %d", n, err, len(c.element))
			}
			for i := range len(c.element) {
				if n, err := elementLen([]byte(c.element[:i])); n != 0 || err != nil {
					t.Fatalf("of the first %d bytes: got %d, %v; want 0", i, n, err)
				}
			}
		})
	}
	if _, err := elementLen([]byte("</stream:stream>")); !errors.Is(err, errStreamClosed) {
		t.Errorf("end of the stream: got %v, want %v", err, errStreamClosed)
	}
	if _, err := elementLen([]byte("text<a/>")); err == nil {
		t.Error("text: want an error")
	}
}

func TestPartsOfElements(t *testing.T) {
	el := []byte(`<message xml:id='no' id="m1" from='a@b/c'><delay/><body lang='en'>x &amp; y</body></message>`)
	for _, c := range []struct{ what, got, want string }{
		{"name", name(el), "message"},
		{"name of an empty element", name([]byte("<r/>")), "r"},
		{"name of nothing", name(nil), ""},
		{"id", string(attribute(startTag(el), " id=")), "m1"},
		{"from", string(attribute(startTag(el), " from=")), "a@b/c"},
		{"attribute that is not there", string(attribute(startTag(el), " to=")), ""},
		{"body", string(child(el, "<body", "</body>")), "x &amp; y"},
		{"child that is not there", string(child(el, "<subject", "</subject>")), ""},
		{"content", string(content([]byte("<a b='c'>d</a>"))), "d"},
		{"content of an empty element", string(content([]byte("<a/>"))), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, c.got, c.want)
		}
	}
}

func TestUnescape(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"&lt;&gt;&amp;&quot;&apos;", `<>&"'`},
		{"a&#65;b&#x42;c", "aAbBc"},
		{"&#128512;", "😀"},
		{"&what;", "&what;"},
		{"&;&#;", "&;&#;"},
		{"end &am", "end &am"},
	} {
		if got := string(unescape(nil, []byte(c.in))); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
	}{{"0", 0}, {"0000000012", 12}, {"", -1}, {"-1", -1}, {"1a", -1}, {"99999999999999999999999", -1}} {
		if got := number([]byte(c.in)); got != c.want {
			t.Errorf("%q: got %d, want %d", c.in, got, c.want)
		}
	}
}
