package certs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"slices"
	"strings"
	"testing"
)

func TestASCIIName(t *testing.T) {
	for name, want := range map[string]string{
		"":                       "",
		"Example.ORG":            "example.org",
		"example.org.":           "example.org",
		"BÜCHER.example.org":     "xn--bcher-kva.example.org",
		"bücher.münchen.example": "xn--bcher-kva.xn--mnchen-3ya.example",
		"xn--bcher-kva.example":  "xn--bcher-kva.example",
		"::1.":                   "::1",
		"*.Example.org":          "*.example.org",
		"127.0.0.1":              "127.0.0.1",
		"0:0:0:0:0:0:0:1":        "::1",
		"::ffff:192.0.2.1":       "192.0.2.1",
		"\xff.example":           "\xff.example",
		strings.Repeat("ü", 600): strings.Repeat("ü", 600),
	} {
		if got := ASCIIName(name); got != want {
			t.Errorf("ASCIIName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestWildcardOf(t *testing.T) {
	for name, want := range map[string]string{
		"a.example.org":   "*.example.org",
		"a.b.example.org": "*.b.example.org",
		"example":         "",
		".example":        "",
		"example.":        "",
		"":                "",
	} {
		if got := wildcardOf(name); got != want {
			t.Errorf("wildcardOf(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	tests := []struct {
		name string
		cert x509.Certificate
		want []string
	}{
		{"alternative names", x509.Certificate{DNSNames: []string{"b.example", "A.example", "b.example"}}, []string{"a.example", "b.example"}},
		{"address", x509.Certificate{IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1), net.IPv6loopback}}, []string{"192.0.2.1", "::1"}},
		{"common name", x509.Certificate{Subject: pkix.Name{CommonName: "Example.org"}}, []string{"example.org"}},
		{"common name beside others", x509.Certificate{Subject: pkix.Name{CommonName: "example.net"}, DNSNames: []string{"example.org"}}, []string{"example.org"}},
		{"common name that is none", x509.Certificate{Subject: pkix.Name{CommonName: "My Server"}}, nil},
		{"nothing", x509.Certificate{DNSNames: []string{"."}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := names(&tt.cert); !slices.Equal(got, tt.want) {
				t.Errorf("names() = %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzASCIIName looks for panics, for names that change when they are converted
// again, and for two names that become one.
func FuzzASCIIName(f *testing.F) {
	f.Add("bücher.example", "BÜCHER.example")
	f.Add("例え.テスト", "a.b")
	f.Fuzz(func(t *testing.T, a, b string) {
		x := asciiName(a)
		if len(a) <= maxName && asciiName(x) != x && !strings.HasSuffix(x, ".") {
			t.Errorf("asciiName(%q) = %q, which becomes %q", a, x, asciiName(x))
		}
		fold := func(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }
		if x == asciiName(b) && fold(a) != fold(b) && !strings.Contains(a+b, "--") && net.ParseIP(x) == nil {
			t.Errorf("%q and %q both become %q", a, b, x)
		}
	})
}
