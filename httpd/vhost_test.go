package httpd

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestVirtualHost(t *testing.T) {
	o := Defaults()
	o.HostsAlias = map[string]string{"*.b.example": "b.test", "127.0.0.?": "B.Test.", "x.example": "gone.test", "2001:db8::?": "b.test", "2001:db8::5": "[2001:DB8::8]"}
	r := newRig(t, o, nil)
	defer r.end()
	for host, want := range map[string]string{
		"a.test": "a.test", "B.Test": "b.test", "b.test:5280": "b.test", "b.test:": "b.test",
		"www.b.example": "b.test", "WWW.B.example:80": "b.test", "b.example": "a.test", "127.0.0.5": "b.test", "x.example": "a.test",
		"other.example": "a.test", "": "a.test", "[2001:db8:1::1]": "a.test", "[2001:db8::1]": "b.test",
		"[2001:db8::8]:5280": "[2001:db8::8]", "[2001:DB8:0::8]": "[2001:db8::8]", "[2001:db8::8]:": "[2001:db8::8]",
		"[2001:db8:0::7]": "b.test", "[2001:db8::5]": "[2001:db8::8]", "[fe80::1%25lo]": "a.test", "[::ffff:192.0.2.1]": "a.test",
		"2001:db8::8": "400", "[[2001:db8::8]]": "400", "[2001:db8::8]x": "400",
		"tide_waiter:5280": "a.test", "_x.b.example": "b.test", "xn--example-.com": "400", "a..b_": "400", "ana@b.test": "400",
		"b.test:x": "400", "a b": "400", "[::1": "400", "[b.test]": "400", "b.test:80:80": "400", "b.test:123456": "400",
	} {
		status, body := r.get("/", "Host: "+host)
		if got, _, _ := strings.Cut(body, " "); want == "400" && status != http.StatusBadRequest || want != "400" && got != want {
			t.Errorf("Host %q: got %d %q, want %s", host, status, got, want)
		}
	}
	o.DefaultHost = "B.test"
	d := newRig(t, o, nil)
	defer d.end()
	if _, body := d.get("/", "Host: other.example"); !strings.HasPrefix(body, "b.test ") {
		t.Errorf("default_host: got %q, want b.test", body)
	}
}

// The first address that was forwarded for counts only if all others are trusted, and
// nobody becomes a proxy, or whoever it is that he names, by a field of his own.
func TestForwarded(t *testing.T) {
	prefixes := func(list ...string) (p []netip.Prefix) {
		for _, s := range list {
			p = append(p, netip.MustParsePrefix(s))
		}
		return p
	}
	const peer = "198.51.100.7"
	for _, c := range []struct {
		name    string
		trusted []netip.Prefix
		fields  []string
		want    string // "": the connection is dropped
	}{
		{"nobody is trusted", nil, []string{"X-Forwarded-For: 10.0.0.1", "X-Forwarded-Proto: https"}, peer + " plain"},
		{"another is trusted", prefixes("10.0.0.0/8"), []string{"X-Forwarded-For: 10.0.0.1"}, peer + " plain"},
		{"no field", prefixes(peer + "/32"), nil, peer + " plain"},
		{"one hop", prefixes(peer + "/32"), []string{"X-Forwarded-For: 203.0.113.9"}, "203.0.113.9 plain"},
		{"IPv6", prefixes(peer + "/32"), []string{"X-Forwarded-For: 2001:db8::9"}, "2001:db8::9 plain"},
		{"mapped", prefixes(peer + "/32"), []string{"X-Forwarded-For: ::ffff:203.0.113.9"}, "203.0.113.9 plain"},
		{"two hops", prefixes(peer+"/32", "10.0.0.0/8"), []string{"X-Forwarded-For: 203.0.113.9, 10.1.1.1"}, "203.0.113.9 plain"},
		{"two fields", prefixes(peer+"/32", "10.0.0.0/8"), []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 10.1.1.1"}, "203.0.113.9 plain"},
		{"a stranger between", prefixes(peer + "/32"), []string{"X-Forwarded-For: 203.0.113.9, 10.1.1.1"}, "10.1.1.1 plain"},
		{"forged in front", prefixes(peer+"/32", "10.0.0.0/8"), []string{"X-Forwarded-For: 127.0.0.1, 203.0.113.9, 10.1.1.1"}, "203.0.113.9 plain"},
		{"forged in a field in front", prefixes(peer + "/32"), []string{"X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: 203.0.113.9"}, "203.0.113.9 plain"},
		{"forged as the proxy", prefixes(peer + "/32"), []string{"X-Forwarded-For: " + peer + ", 203.0.113.9"}, "203.0.113.9 plain"},
		{"nonsense in front", prefixes(peer + "/32"), []string{"X-Forwarded-For: unknown, 203.0.113.9"}, "203.0.113.9 plain"},
		{"nonsense at the end", prefixes(peer + "/32"), []string{"X-Forwarded-For: 203.0.113.9, unknown"}, ""},
		{"with a port", prefixes(peer + "/32"), []string{"X-Forwarded-For: 127.0.0.1, 203.0.113.9:80"}, ""},
		{"with a zone", prefixes(peer + "/32"), []string{"X-Forwarded-For: fe80::1%lo"}, "fe80::1 plain"},
		{"trusted but for its zone", prefixes(peer+"/32", "fe80::/10"), []string{"X-Forwarded-For: 203.0.113.9, fe80::1%lo"}, "203.0.113.9 plain"},
		{"proxies alone", prefixes(peer+"/32", "10.0.0.0/8"), []string{"X-Forwarded-For: 10.1.1.2, 10.1.1.1"}, "10.1.1.2 plain"},
		{"commas alone", prefixes(peer + "/32"), []string{"X-Forwarded-For: , ,"}, peer + " plain"},
		{"all", prefixes("0.0.0.0/0", "::/0"), []string{"X-Forwarded-For: 203.0.113.9 1.2.3.4"}, "203.0.113.9 plain"},
		{"nonsense", prefixes(peer + "/32"), []string{"X-Forwarded-For: unknown"}, ""},
		{"nonsense of a stranger", nil, []string{"X-Forwarded-For: unknown"}, peer + " plain"},
		{"encrypted", prefixes(peer + "/32"), []string{"X-Forwarded-Proto: https"}, peer + " secure"},
		{"not encrypted", prefixes(peer + "/32"), []string{"X-Forwarded-Proto: http"}, peer + " plain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Defaults()
			o.TrustedProxies = c.trusted
			r := newRig(t, o, nil)
			defer r.end()
			_, body := r.get("/", append([]string{"Host: a.test"}, c.fields...)...)
			want := ""
			if c.want != "" {
				want = "a.test " + c.want + " /  "
			}
			if body != want {
				t.Errorf("got %q, want %q", body, want)
			}
		})
	}
}
