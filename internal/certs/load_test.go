package certs

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// TestLoadForms loads one certificate and key in each form and split.
func TestLoadForms(t *testing.T) {
	ec, rs := issue(nil, nil, nil, "example.org"), issue(nil, rsaKey(), nil, "example.org")
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	ed := issue(nil, edKey, nil, "example.org")
	p384 := issue(nil, must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)), nil, "example.org")
	sec1 := block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ec.key.(*ecdsa.PrivateKey))))
	params := block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7})
	pkcs1 := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs.key.(*rsa.PrivateKey)))
	tests := []struct {
		name  string
		files [][]byte
		key   string
	}{
		{"certificate then key", [][]byte{ec.both()}, "ECDSA P-256"},
		{"key then certificate", [][]byte{append(ec.keyPEM(), ec.certPEM()...)}, "ECDSA P-256"},
		{"two files", [][]byte{ec.keyPEM(), ec.certPEM()}, "ECDSA P-256"},
		{"twice", [][]byte{ec.both(), ec.certPEM(), ec.both()}, "ECDSA P-256"},
		{"text around", [][]byte{append([]byte("subject=example\r\n"), bytes.ReplaceAll(ec.both(), []byte("\n"), []byte("\r\n"))...)}, "ECDSA P-256"},
		{"SEC 1 with parameters", [][]byte{ec.certPEM(), append(params, sec1...)}, "ECDSA P-256"},
		{"P-384", [][]byte{p384.both()}, "ECDSA P-384"},
		{"RSA PKCS 1", [][]byte{rs.certPEM(), pkcs1}, "RSA 2048"},
		{"RSA PKCS 8", [][]byte{rs.both()}, "RSA 2048"},
		{"Ed25519", [][]byte{ed.both()}, "Ed25519"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			var paths []string
			for i, f := range tt.files {
				paths = append(paths, write(t, dir, string(rune('a'+i))+".pem", f))
			}
			leaves := load(t, paths...).Leaves()
			if len(leaves) != 1 || leaves[0].Key != tt.key || leaves[0].Names[0] != "example.org" {
				t.Errorf("Leaves() = %+v, want one for example.org with key %s", leaves, tt.key)
			}
		})
	}
}

type loadProblem struct {
	name    string
	files   map[string][]byte
	pattern string // "": every file by its name
	want    string
	path    string // base name of the Path
	warning bool
}

// loadProblems lists what must be found wrong, and whether it is a warning.
func loadProblems() []loadProblem {
	root := newCA(nil, nil, "Root")
	good, other := issue(root, nil, nil, "example.org"), issue(root, nil, nil, "example.net")
	late := issue(root, nil, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "late.example.org")
	early := issue(root, nil, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }, "early.example.org")
	weak := issue(nil, must(rsa.GenerateKey(rand.Reader, 1024)), nil, "weak.example.org")
	p224 := issue(nil, must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)), nil, "p224.example.org")
	x25519 := block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(must(ecdh.X25519().GenerateKey(rand.Reader)))))
	locked := block("ENCRYPTED PRIVATE KEY", []byte("secret"))
	lockedOld := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("secret"), Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "DES-EDE3-CBC,0"}})
	broken := []byte(strings.Replace(string(good.certPEM()), "-----END CERTIFICATE-----", "", 1))
	return []loadProblem{
		{name: "missing file", pattern: "none.pem", want: "no such file or directory", path: "none.pem"},
		{name: "no match", pattern: "*.pem", want: "no file matches", path: "*.pem"},
		{name: "malformed pattern", pattern: "[", want: "malformed pattern", path: "["},
		{name: "directory", pattern: "sub", want: "not a regular file", path: "sub"},
		{name: "no PEM", files: map[string][]byte{"a": []byte("hello")}, want: "no PEM certificate or private key in it", path: "a"},
		{name: "empty file", files: map[string][]byte{"a": nil}, want: "no PEM certificate or private key in it", path: "a"},
		{name: "DER", files: map[string][]byte{"a": good.Raw}, want: "no PEM certificate or private key in it; if it is DER, convert it with openssl x509 -inform der", path: "a"},
		{name: "no PEM by glob", files: map[string][]byte{"README": []byte("hello"), "a": good.both()}, pattern: "*", want: "no PEM certificate or private key in it", path: "README", warning: true},
		{name: "truncated block", files: map[string][]byte{"a": append(good.both(), broken...)}, want: "1 of 3 PEM blocks cannot be read", path: "a"},
		{name: "broken certificate", files: map[string][]byte{"a": append(good.both(), block("CERTIFICATE", []byte("no"))...)}, want: "certificate cannot be read", path: "a"},
		{name: "broken key", files: map[string][]byte{"a": append(good.both(), block("PRIVATE KEY", []byte("no"))...)}, want: "private key cannot be read", path: "a"},
		{name: "foreign block", files: map[string][]byte{"a": append(good.both(), block("X509 CRL", []byte("no"))...)}, want: `PEM block "X509 CRL" ignored`, path: "a", warning: true},
		{name: "too large", files: map[string][]byte{"a": bytes.Repeat([]byte("\n"), maxFile+1)}, want: "larger than 4194304 bytes", path: "a"},
		{name: "certificate without key", files: map[string][]byte{"a": good.certPEM()}, want: `no private key for the certificate of "example.org"`, path: "a"},
		{name: "key without certificate", files: map[string][]byte{"a": good.both(), "b": other.keyPEM()}, want: "private key without a certificate", path: "b", warning: true},
		{name: "mismatched pair", files: map[string][]byte{"a": append(good.certPEM(), other.keyPEM()...)}, want: `the private key does not belong to the certificate of "example.org"`, path: "a"},
		{name: "only a CA", files: map[string][]byte{"a": root.certPEM()}, want: "no certificate with its private key among the files"},
		{name: "expired", files: map[string][]byte{"a": late.both()}, want: `certificate of "late.example.org" expired on `, path: "a", warning: true},
		{name: "not yet valid", files: map[string][]byte{"a": early.both()}, want: `certificate of "early.example.org" is not valid before `, path: "a", warning: true},
		{name: "weak key", files: map[string][]byte{"a": weak.both()}, want: `certificate of "weak.example.org": RSA key of 1024 bits is weak; use 2048 or more`, path: "a", warning: true},
		{name: "encrypted PKCS 8", files: map[string][]byte{"a": append(good.both(), locked...)}, want: "private key is encrypted; decrypt it with openssl pkey", path: "a"},
		{name: "encrypted PKCS 1", files: map[string][]byte{"a": append(good.both(), lockedOld...)}, want: "private key is encrypted; decrypt it with openssl pkey", path: "a"},
		{name: "X25519 key", files: map[string][]byte{"a": append(good.both(), x25519...)}, want: "unsupported key type", path: "a"},
		{name: "DSA key", files: map[string][]byte{"a": append(good.both(), block("DSA PRIVATE KEY", []byte("x"))...)}, want: "unsupported key type", path: "a"},
		{name: "P-224", files: map[string][]byte{"a": p224.both()}, want: `certificate of "p224.example.org": unsupported key type`, path: "a"},
	}
}

func TestLoadProblems(t *testing.T) {
	for _, tt := range loadProblems() {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
				t.Fatal(err)
			}
			patterns := []string{write(t, t.TempDir(), "first.pem", issue(nil, nil, nil, "first.example.org").both())}
			if tt.path == "" { // about the list as a whole
				patterns = nil
			}
			for _, name := range []string{"README", "a", "b"} {
				if data, ok := tt.files[name]; ok {
					path := write(t, dir, name, data)
					if tt.pattern == "" {
						patterns = append(patterns, path)
					}
				}
			}
			if tt.pattern != "" {
				patterns = append(patterns, filepath.Join(dir, tt.pattern))
			}
			_, problems := Load(patterns)
			if len(problems) != 1 {
				t.Fatalf("problems = %v, want one", problems)
			}
			p := problems[0]
			if !strings.HasPrefix(p.Err.Error(), tt.want) || p.Warning != tt.warning || p.Key != "certfiles" {
				t.Errorf("problem = %q (warning %t, key %s), want %q (warning %t, key certfiles)", p.Err, p.Warning, p.Key, tt.want, tt.warning)
			}
			if tt.path != "" && filepath.Base(p.Path) != tt.path {
				t.Errorf("path = %q, want %q", p.Path, tt.path)
			}
			want := len(patterns) - 1 // the pattern at fault is the last
			if tt.path == "" {
				want = -1
			}
			if p.Index != want {
				t.Errorf("index = %d, want %d", p.Index, want)
			}
		})
	}
}

func TestProblemError(t *testing.T) {
	_, problems := Load([]string{"/none/of.pem"})
	if len(problems) != 1 {
		t.Fatalf("problems = %v, want one", problems)
	}
	if got, want := problems[0].Error(), `"/none/of.pem": no such file or directory`; got != want {
		t.Errorf("Error() = %s, want %s", got, want)
	}
	if !errors.Is(problems[0], fs.ErrNotExist) {
		t.Errorf("errors.Is(%v, fs.ErrNotExist) = false", problems[0])
	}
}

func TestKeyNameRefuses(t *testing.T) {
	for name, pub := range map[string]any{
		"short RSA": &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1000), E: 65537},
		"P-224":     must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)).Public(),
		"X25519":    must(ecdh.X25519().GenerateKey(rand.Reader)).Public(),
		"none":      nil,
	} {
		if got, err := keyName(pub); err == nil {
			t.Errorf("%s: keyName() = %q, want an error", name, got)
		}
	}
}

func TestLoadOpenKey(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("file modes say nothing here")
	}
	p := issue(nil, nil, nil, "example.org")
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true, 0o604: true} {
		path := write(t, t.TempDir(), "a.pem", p.both())
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, problems := Load([]string{path})
		if got := len(problems) == 1 && problems[0].Warning; got != want {
			t.Errorf("mode %o: problems = %v, want a warning: %t", mode, problems, want)
		}
	}
}

func TestLoadGlob(t *testing.T) {
	dir := t.TempDir()
	a, b := issue(nil, nil, nil, "a.example.org"), issue(nil, nil, nil, "b.example.org")
	write(t, dir, "b.pem", b.both())
	write(t, dir, "a.pem", a.certPEM())
	write(t, dir, "a.key", a.keyPEM())
	write(t, dir, "{x}.pem", issue(nil, nil, nil, "x.example.org").both())
	if err := os.Mkdir(filepath.Join(dir, "sub.pem"), 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		patterns []string
		want     []string // first names, in order
	}{
		{"sorted within a pattern", []string{"[a-z]*"}, []string{"a.example.org", "b.example.org"}},
		{"patterns in order", []string{"b.*", "[a-z]*"}, []string{"b.example.org", "a.example.org"}},
		{"alternatives", []string{"{b,a}.{pem,key}"}, []string{"a.example.org", "b.example.org"}},
		{"literal", []string{"{x}.pem"}, []string{"x.example.org"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var patterns []string
			for _, p := range tt.patterns {
				patterns = append(patterns, filepath.Join(dir, p))
			}
			var got []string
			for _, l := range load(t, patterns...).Leaves() {
				got = append(got, l.Names[0])
			}
			if strings.Join(got, " ") != strings.Join(tt.want, " ") {
				t.Errorf("order = %v, want %v", got, tt.want)
			}
		})
	}
	if _, problems := Load([]string{strings.Repeat("{a,b}", 30)}); len(problems) == 0 || !errors.Is(problems[0], errBraces) {
		t.Errorf("many alternatives: problems = %v, want %v", problems, errBraces)
	}
}

// TestLoadCA keeps a CA whose key lies beside it from being served, except
// when it is the only certificate: openssl req -x509 makes such ones.
func TestLoadCA(t *testing.T) {
	ca := newCA(nil, nil, "Root")
	leaf := issue(ca, nil, nil, "example.org")
	s := load(t, write(t, t.TempDir(), "all.pem", ca.both(), leaf.both()))
	if got := s.Certificate("").Leaf; !got.Equal(leaf.Certificate) || s.Len() != 1 {
		t.Errorf("served = %s of %d, want example.org alone", got.Subject, s.Len())
	}
	self := issue(nil, nil, func(c *x509.Certificate) {
		c.IsCA = true
		c.Subject = pkix.Name{CommonName: "example.net"}
	})
	if got := load(t, write(t, t.TempDir(), "self.pem", self.both())).Domains(); len(got) != 1 || got[0] != "example.net" {
		t.Errorf("Domains() = %v, want example.net", got)
	}
}

func FuzzParsePEM(f *testing.F) {
	p := issue(nil, nil, nil, "example.org")
	f.Add(p.both())
	f.Add(append(p.keyPEM(), "-----BEGIN CERTIFICATE-----"...))
	f.Add(block("CERTIFICATE", []byte{0x30, 0x80}))
	f.Fuzz(func(t *testing.T, data []byte) {
		got := parsePEM(data)
		if len(got.certs)+len(got.keys)+len(got.errs) == 0 {
			t.Errorf("nothing found and no error in %q", data)
		}
		var again []byte
		for _, c := range got.certs {
			again = append(again, block("CERTIFICATE", c.Raw)...)
		}
		if n := len(parsePEM(again).certs); n != len(got.certs) {
			t.Errorf("%d certificates after a round trip, want %d", n, len(got.certs))
		}
		for _, k := range got.keys {
			keyID(k.Public())
		}
		for _, c := range got.certs {
			names(c)
			weakness(c)
		}
	})
}

// A self-signed certificate of openssl req calls itself a CA. One with the wrong
// key is reported all the same, with its file.
func TestLoadMismatchOfSelfSignedCA(t *testing.T) {
	dir := t.TempDir()
	ca, other := newCA(nil, nil, "example.org"), issue(nil, nil, nil, "other.example.org")
	path := write(t, dir, "a.pem", append(ca.certPEM(), other.keyPEM()...))
	_, problems := Load([]string{path})
	const want = "the private key does not belong to the certificate of "
	if len(problems) != 1 || problems[0].Path != path || problems[0].Index != 0 || problems[0].Warning || !strings.HasPrefix(problems[0].Err.Error(), want) {
		t.Errorf("got %v, want one problem of %s: %s", problems, path, want)
	}
}
