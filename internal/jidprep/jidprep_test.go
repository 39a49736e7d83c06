package jidprep

import (
	"errors"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	tests := []struct {
		in, local, domain, resource string
		ok                          bool
	}{
		{"example.com", "", "example.com", "", true},
		{"a@example.com", "a", "example.com", "", true},
		{"a@example.com/r", "a", "example.com", "r", true},
		{"example.com/r", "", "example.com", "r", true},
		{"example.com/a@b", "", "example.com", "a@b", true},
		{"a@b@c", "a", "b@c", "", true}, // the domainpart is refused later
		{"a@b/c/d@e", "a", "b", "c/d@e", true},
		{"", "", "", "", false},
		{"@example.com", "", "", "", false},
		{"a@", "", "", "", false},
		{"example.com/", "", "", "", false},
		{"a@example.com/", "", "", "", false},
		{"a@/r", "", "", "", false},
		{"/r", "", "", "", false},
		{"@/", "", "", "", false},
	}
	for _, tt := range tests {
		local, domain, resource, err := Split(tt.in)
		if local != tt.local || domain != tt.domain || resource != tt.resource || (err == nil) != tt.ok {
			t.Errorf("%q: got %q, %q, %q, %v, want %q, %q, %q, ok %v", tt.in, local, domain, resource, err, tt.local, tt.domain, tt.resource, tt.ok)
		}
	}
}

type partTest struct {
	name, in, want string // want "": an error
}

func testPart(t *testing.T, prepare func(string) (string, error), tests []partTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := prepare(tt.in)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("%q: got %q, %v, want %q", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestLocal(t *testing.T) {
	tests := []partTest{
		{"plain", "juliet", "juliet"},
		{"all plain bytes", "!#$%()*+,-.0123456789;=?[\\]^_`abcxyz{|}~", "!#$%()*+,-.0123456789;=?[\\]^_`abcxyz{|}~"},
		{"upper case", "Juliet", "juliet"},
		{"sharp s stays", "fußball", "fußball"},
		{"Greek", "ΠΑ", "πα"},
		{"final sigma", "Σς", "σς"},
		{"full width", "ＡＢ", "ab"},
		{"composed", "e\u0301", "\u00e9"},
		{"Hebrew", "אב", "אב"},
		{"mixed directions", "aא", ""},
		{"space", "a b", ""},
		{"no-break space", "a\u00a0b", ""},
		{"quotation mark", `a"b`, ""},
		{"ampersand", "a&b", ""},
		{"apostrophe", "a'b", ""},
		{"slash", "a/b", ""},
		{"colon", "a:b", ""},
		{"less", "a<b", ""},
		{"greater", "a>b", ""},
		{"at", "a@b", ""},
		{"full-width at", "a＠b", ""},
		{"full-width slash", "a／b", ""},
		{"control", "a\x01b", ""},
		{"delete", "a\x7fb", ""},
		{"Roman numeral", "henryⅣ", ""},
		{"heart", "♥", ""},
		{"invalid UTF-8", "a\xff", ""},
		{"1023 bytes", strings.Repeat("a", 1023), strings.Repeat("a", 1023)},
		{"1024 bytes", strings.Repeat("a", 1024), ""},
		{"1023 bytes to prepare", strings.Repeat("A", 1023), strings.Repeat("a", 1023)},
		{"1024 bytes to prepare", strings.Repeat("A", 1024), ""},
		{"1024 bytes of two-byte characters", strings.Repeat("é", 512), ""},
	}
	testPart(t, Local, tests)
}

func TestResource(t *testing.T) {
	testPart(t, Resource, []partTest{
		{"plain", "Balcony 42 <&'\">/@", "Balcony 42 <&'\">/@"},
		{"case stays", "ABC", "ABC"},
		{"one space", " ", " "},
		{"spaces at the ends", " a ", " a "},
		{"no-break space", "a\u00a0b", "a b"},
		{"symbols", "♥ ⅣＡ", "♥ ⅣＡ"},
		{"composed", "e\u0301", "\u00e9"},
		{"control", "a\x01", ""},
		{"tab", "a\tb", ""},
		{"delete", "a\x7f", ""},
		{"invalid UTF-8", "\xc3", ""},
		{"1023 bytes", strings.Repeat("A", 1023), strings.Repeat("A", 1023)},
		{"1024 bytes", strings.Repeat("A", 1024), ""},
		{"1024 bytes of two-byte characters", strings.Repeat("é", 512), ""},
	})
}

func TestDomain(t *testing.T) {
	testPart(t, Domain, []partTest{
		{"name", "example.com", "example.com"},
		{"one label", "localhost", "localhost"},
		{"digits and hyphens", "a-1.2.3--4.x", "a-1.2.3--4.x"},
		{"upper case", "Example.COM", "example.com"},
		{"dot at the end", "example.com.", "example.com"},
		{"two dots at the end", "example.com..", ""},
		{"empty label", "a..b", ""},
		{"dot first", ".a", ""},
		{"only a dot", ".", ""},
		{"hyphen first", "-a.b", ""},
		{"hyphen last", "a-.b", ""},
		{"hyphen last of all", "a.b-", ""},
		{"reserved hyphens", "ab--c.d", ""},
		{"underscore", "_xmpp.example.com", ""},
		{"space", "a b", ""},
		{"at", "b@c", ""},
		{"U-label", "bücher.example", "bücher.example"},
		{"U-label in upper case", "BÜCHER.example", "bücher.example"},
		{"A-label", "xn--bcher-kva.example", "bücher.example"},
		{"A-label in upper case", "XN--BCHER-KVA.example", "bücher.example"},
		{"A-label of ASCII", "xn--example-.com", ""},
		{"A-label of nothing", "xn--.com", ""},
		{"broken A-label", "xn--zzzzzzzz\u00e9.com", ""},
		{"ideographic full stop", "a。b", "a.b"},
		{"full-width letters", "ｅｘ.com", "ex.com"},
		{"IPv4", "192.0.2.1", "192.0.2.1"},
		{"IPv6", "[2001:db8::1]", "[2001:db8::1]"},
		{"IPv6 loopback", "[::1]", "[::1]"},
		{"IPv6 in another form", "[2001:0DB8:0::1]", "[2001:db8::1]"},
		{"IPv6 without brackets", "2001:db8::1", ""},
		{"IPv6 with zone", "[fe80::1%25eth0]", ""},
		{"IPv4 in IPv6", "[::ffff:192.0.2.1]", ""},
		{"IPv4 in brackets", "[192.0.2.1]", ""},
		{"open bracket", "[::1", ""},
		{"bracket and more", "[::1].", ""},
		{"only brackets", "[]", ""},
		{"one bracket", "[", ""},
		{"empty", "", ""},
		{"invalid UTF-8", "a\xff", ""},
		{"1023 bytes", strings.Repeat("a.", 511) + "a", strings.Repeat("a.", 511) + "a"},
		{"1024 bytes", strings.Repeat("a.", 511) + "aa", ""},
	})
}

func TestEmptyParts(t *testing.T) {
	if got, err := Local(""); got != "" || err != nil {
		t.Errorf("local: got %q, %v, want nothing", got, err)
	}
	if got, err := Resource(""); got != "" || err != nil {
		t.Errorf("resource: got %q, %v, want nothing", got, err)
	}
}

// TestHugePart checks that hostile lengths are refused before the work is done.
func TestHugePart(t *testing.T) {
	huge := strings.Repeat("É", 1<<20)
	for name, prepare := range parts {
		if _, err := prepare(huge); !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: got %v, want %v", name, err, ErrTooLong)
		}
	}
}

var parts = map[string]func(string) (string, error){"local": Local, "domain": Domain, "resource": Resource}

func TestFastPathAllocatesNothing(t *testing.T) {
	got := testing.AllocsPerRun(100, func() {
		l, d, r, err := Split("juliet.c-1_x@im.capulet-house.example/Balcony 42")
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{second(Local(l)), second(Domain(d)), second(Resource(r))} {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	if got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func second(_ string, err error) error { return err }

func BenchmarkFastPath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		l, d, r, _ := Split("juliet@capulet.example/balcony")
		Local(l)
		Domain(d)
		Resource(r)
	}
}

func BenchmarkSlowPath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		l, d, r, _ := Split("Juliet@bücher.example/bälcony")
		Local(l)
		Domain(d)
		Resource(r)
	}
}
