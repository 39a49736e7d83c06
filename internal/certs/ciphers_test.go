package certs

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
)

// TestSuites compares our table with crypto/tls.
func TestSuites(t *testing.T) {
	known := make(map[uint16]suite)
	for _, s := range suites {
		known[s.id] = s
	}
	n := 0
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if s.SupportedVersions[0] == tls.VersionTLS13 {
			continue
		}
		n++
		if got, ok := known[s.ID]; !ok || got.insecure != s.Insecure {
			t.Errorf("%s: in the table %t, insecure %t; want true, %t", s.Name, ok, got.insecure, s.Insecure)
		}
	}
	if n != len(suites) {
		t.Errorf("table has %d suites, crypto/tls %d", len(suites), n)
	}
}

const (
	ecGCM   = "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384"
	rsaGCM  = "ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384"
	chacha  = "ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305"
	cbc128  = "ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA"
	cbc256  = "ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA"
	gcm     = ecGCM + " " + rsaGCM
	aead    = gcm + " " + chacha
	all     = aead + " " + cbc128 + " " + cbc256
	mozilla = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" +
		"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384"
)

var cipherTests = []struct {
	list     string
	want     string // OpenSSL names; "": error
	warnings string // parts of them, joined with "|"
}{
	{"HIGH", all, ""},
	{"HIGH:!aNULL", all, ""},
	{"DEFAULT", all, ""},
	{"ALL:!LOW:!EXP:!eNULL:!MD5:@STRENGTH", all, ""},
	{"HIGH:!aNULL:!eNULL:!3DES:!RC4:!MD5:@SECLEVEL=2", all, ""},
	{"HIGH:@SECLEVEL=3", all, "@SECLEVEL=3 has no effect"},
	{"MEDIUM", "", ""},
	{"ECDHE", all, ""},
	{"kEECDH", all, ""},
	{"AES", gcm + " " + cbc128 + " " + cbc256, ""},
	{"AESGCM", gcm, ""},
	{"AES128", "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 " + cbc128, ""},
	{"AES256", "ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384 " + cbc256, ""},
	{"CHACHA20", chacha, ""},
	{"aRSA+AESGCM", rsaGCM, ""},
	{"ECDSA+AESGCM", ecGCM, ""},
	{"EECDH+AESGCM:EECDH+CHACHA20", aead, ""},
	{"HIGH:!SHA", aead, ""},
	{"HIGH:!SHA1:!SHA256:!SHA384", aead, ""},
	{"HIGH:-SHA:+AES", aead, ""},
	{"TLSv1.2", aead, ""},
	{"TLSv1", cbc128 + " " + cbc256, ""},
	{"CBC", cbc128 + " " + cbc256, ""},
	{"SHA", cbc128 + " " + cbc256, ""},
	{"AES128:!AES128:AES128", "", ""}, // ! is for good
	{"AES128:-AES128:AES128+SHA", cbc128, ""},
	{"HIGH, !AES256 !CHACHA20;!SHA", "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256", ""},
	{"RSA", "", ""}, // classes enable nothing insecure
	{"SSLv3", "", ""},
	{"SHA256", "", ""},
	{"!aNULL", "", ""},
	{"@STRENGTH", "", ""},
	{"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", ""},
	{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", ""},
	{"AESGCM:AES128-SHA", gcm + " AES128-SHA", `"AES128-SHA" is insecure`},
	{"AESGCM:TLS_RSA_WITH_RC4_128_SHA", gcm + " RC4-SHA", `"RC4-SHA" is insecure`},
	{"AESGCM:AES128-SHA:!kRSA", gcm, ""},
	{"TLS_AES_128_GCM_SHA256:AESGCM", gcm, "suites of TLS 1.3 are fixed"},
	{"TLS_AES_128_GCM_SHA256", "", "suites of TLS 1.3 are fixed"},
	{mozilla, aead, `no cipher suite or class called "DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384"`},
	{"high", "", `called "high"`},
	{"AESGCM:FOO+AES:!BAR:@BAZ", gcm, `called "FOO+AES", "BAR", "@BAZ"`},
	{"AESGCM:!:+:-:+AES++", gcm, `called "", "", "", "AES++"`},
}

// TestParseCiphers expects what openssl ciphers(1) lists, as far as crypto/tls
// has it, except for suites that crypto/tls calls insecure.
func TestParseCiphers(t *testing.T) {
	for _, tt := range cipherTests {
		t.Run(tt.list, func(t *testing.T) {
			ids, warnings, err := parseCiphers(tt.list)
			var got []string
			for _, s := range suites {
				if slices.Contains(ids, s.id) {
					got = append(got, s.openssl)
				}
			}
			want := strings.Fields(tt.want)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) || (err != nil) != (tt.want == "") {
				t.Errorf("got %v, %v; want %v", got, err, want)
			}
			parts := strings.FieldsFunc(tt.warnings, func(r rune) bool { return r == '|' })
			if len(warnings) != len(parts) {
				t.Fatalf("warnings = %q, want %q", warnings, parts)
			}
			for i, p := range parts {
				if !strings.Contains(warnings[i].Error(), p) {
					t.Errorf("warning = %q, want it to contain %q", warnings[i], p)
				}
			}
		})
	}
}

func FuzzParseCiphers(f *testing.F) {
	for _, s := range []string{"HIGH:!aNULL", "ECDHE+AESGCM:-SHA", "AES128-SHA,@SECLEVEL=1", "+", "!@-", "ALL:!ALL:RC4-SHA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		ids, _, err := parseCiphers(list)
		if (err == nil) != (len(ids) > 0) {
			t.Fatalf("%d suites and error %v", len(ids), err)
		}
		for i, id := range ids {
			if slices.Contains(ids[:i], id) {
				t.Errorf("suite %04x twice", id)
			}
			for _, s := range suites {
				if s.id == id && s.insecure && !strings.Contains(list, s.openssl) && !strings.Contains(list, tls.CipherSuiteName(id)) {
					t.Errorf("insecure suite %s, which %q does not name", s.openssl, list)
				}
			}
		}
		// A killed suite stays dead, whatever comes after.
		if ids, _, _ := parseCiphers("!ALL:" + list); len(ids) > 0 {
			t.Errorf("!ALL:%s enables %04x", list, ids)
		}
	})
}
