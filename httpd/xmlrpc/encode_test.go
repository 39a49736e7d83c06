package xmlrpc

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kolo/xmlrpc"
	"github.com/tidewaiter/tidewaiter/listen/command"
)

func TestResponse(t *testing.T) {
	const begin, end = "<?xml version=\"1.0\"?>\n<methodResponse>", "</methodResponse>\n"
	const one, oneEnd = begin + "<params><param><value><struct><member><name>", "</member></struct></value></param></params>" + end
	tuple := command.Tuple{field("a", command.String), field("b", command.Integer)}
	var bits uint = 31
	wide := 1 << bits // of more than 32 bits, where an int has room for them
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"integer", appendResult(nil, field("num_sessions", command.Integer), 7), one + "num_sessions</name><value><int>7</int></value>" + oneEnd},
		{"smallest integer", appendResult(nil, field("n", command.Integer), -1<<31), one + "n</name><value><int>-2147483648</int></value>" + oneEnd},
		{"large integer", appendResult(nil, field("n", command.Integer), wide), one + "n</name><value><i8>2147483648</i8></value>" + oneEnd},
		{"string", appendResult(nil, field("s", command.String), "a"), one + "s</name><value><string>a</string></value>" + oneEnd},
		{"text", appendResult(nil, field("res", command.ResTuple), "a"), one + "text</name><value><string>a</string></value>" + oneEnd},
		{"list", appendResult(nil, field("l", listOf("s", command.String)), []any{"a", "b"}),
			one + "l</name><value><array><data><value><string>a</string></value><value><string>b</string></value></data></array></value>" + oneEnd},
		{"tuple", appendResult(nil, field("t", tuple), command.Args{"b": 1, "a": "x"}),
			one + "t</name><value><struct><member><name>a</name><value><string>x</string></value></member><member><name>b</name><value><int>1</int></value></member></struct></value>" + oneEnd},
		{"fault", appendFault(nil, &fault{-118, "a < b"}), begin + "<fault><value><struct><member><name>faultCode</name><value><int>-118</int></value></member>" +
			"<member><name>faultString</name><value><string>Error -118\na &lt; b</string></value></member></struct></value></fault>" + end},
		{"other types", appendResponse(nil, []any{true, false, double(1e21), nil, []byte("a"), dateTime("19980717T14:08:55")}),
			begin + "<params><param><value><array><data><value><boolean>1</boolean></value><value><boolean>0</boolean></value>" +
				"<value><double>1000000000000000000000</double></value><value><nil/></value><value><base64>YQ==</base64></value>" +
				"<value><dateTime.iso8601>19980717T14:08:55</dateTime.iso8601></value></data></array></value></param></params>" + end},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if string(tt.got) != tt.want {
				t.Errorf("got %s, want %s", tt.got, tt.want)
			}
		})
	}
}

func TestText(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{`<a href="b">&'`, `&lt;a href="b"&gt;&amp;'`},
		{"]]>", "]]&gt;"},
		{"ü€😀", "ü€😀"},
		{"a\tb\nc\r", "a\tb\nc&#13;"},
		{"a\x00b\x1f", "a\uFFFDb\uFFFD"},
		{"a\xffb\xc3", "a\uFFFDb\uFFFD"},
		{"\uFFFE\uFFFF\uFFFD", "\uFFFD\uFFFD\uFFFD"},
		{"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"},
	}
	for _, tt := range tests {
		if got := string(appendText([]byte("x"), tt.in)); got != "x"+tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, "x"+tt.want)
		}
	}
}

// All text comes back, whatever it is, as far as XML can carry it; from our decoder and
// from that of others.
func FuzzResponse(f *testing.F) {
	f.Add("name", "a <&> \r\n ü", 5)
	f.Add("]]>", "\x00\xff\uFFFE", math.MinInt)
	f.Fuzz(func(t *testing.T, name, text string, n int) {
		typ := command.Tuple{field("text", command.String), field("n", command.Integer), field("list", listOf("text", command.String))}
		doc := appendResult(nil, field(name, typ), command.Args{"text": text, "n": n, "list": []any{text, text}})
		want := carried(text)
		v, fail, err := response(bytes.Clone(doc))
		parts := structure{{"text", want}, {"n", n}, {"list", []any{want, want}}}
		if got := (structure{{carried(name), parts}}); err != nil || fail != nil || !reflect.DeepEqual(v, got) {
			t.Errorf("got %#v, %v and %v, want %#v", v, fail, err, got)
		}
		var kolo map[string]struct {
			N int `xmlrpc:"n"`
		}
		// It takes neither an empty name nor one that it would have to put together.
		if name == "" || strings.ContainsAny(name, "<>&\r\n\t ") {
			return
		}
		if err := xmlrpc.Response(doc).Unmarshal(&kolo); err != nil || kolo[carried(name)].N != n {
			t.Errorf("another decoder has %v and %v of %s", kolo, err, doc)
		}
	})
}

// carried is what of a text comes through XML.
func carried(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0xFFFE, r == 0xFFFF, r == utf8.RuneError:
			return utf8.RuneError
		}
		return r
	}, s)
}
