package certs

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
)

// shown returns the certificate that a server shows to a client that asks for
// a name.
func shown(t *testing.T, cfg *tls.Config, name string) *x509.Certificate {
	t.Helper()
	c := dial(t, cfg, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if c.err != nil {
		t.Fatal(c.err)
	}
	c.close()
	return c.presentation[0]
}

// TestReload swaps the certificates below an open connection.
func TestReload(t *testing.T) {
	path := write(t, t.TempDir(), "a.pem", issue(nil, nil, nil, "example.org").both())
	var ref Ref
	first := load(t, path)
	ref.Swap(first)
	cfg, problems := Spec{}.Build(&ref)
	if len(problems) != 0 {
		t.Fatalf("problems = %v", problems)
	}
	open := dial(t, cfg, &tls.Config{ServerName: "example.org", InsecureSkipVerify: true})
	if open.err != nil {
		t.Fatal(open.err)
	}
	renewed := issue(nil, nil, nil, "example.org")
	if err := os.WriteFile(path, renewed.both(), 0o600); err != nil {
		t.Fatal(err)
	}
	second := load(t, path)
	if got := shown(t, cfg, "example.org"); !got.Equal(first.Certificate("").Leaf) {
		t.Error("the new certificate is in use before Swap")
	}
	ref.Swap(second)
	if err := open.echo(); err != nil {
		t.Errorf("open connection after Swap: %v", err)
	}
	if got := shown(t, cfg, "example.org"); !got.Equal(renewed.Certificate) {
		t.Error("the old certificate is in use after Swap")
	}
}

// TestReloadCertFile does the same with the file of one listener.
func TestReloadCertFile(t *testing.T) {
	old, renewed := issue(nil, nil, nil, "example.org"), issue(nil, nil, nil, "example.org")
	global := issue(nil, nil, nil, "example.org")
	dir := t.TempDir()
	path := write(t, dir, "own.pem", old.both())
	var ref Ref
	set := load(t, write(t, dir, "global.pem", global.both()))
	ref.Swap(set)
	build := func() (*tls.Config, []*Problem) { return Spec{CertFile: path}.Build(&ref) }
	cfg, problems := build()
	if len(problems) != 0 {
		t.Fatalf("problems = %v", problems)
	}
	steps := []struct {
		name   string
		file   []byte
		swap   bool
		broken bool
		want   *pair
	}{
		{"in use at once when it is new", old.both(), false, false, old},
		{"a broken file changes nothing", []byte("no"), false, true, old},
		{"nor does Swap after it", []byte("no"), true, true, old},
		{"a good file waits for Swap", renewed.both(), false, false, old},
		{"Swap", renewed.both(), true, false, renewed},
	}
	for _, tt := range steps {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, tt.file, 0o600); err != nil {
				t.Fatal(err)
			}
			again, problems := build()
			if failed(problems) != tt.broken || (again == nil) != tt.broken {
				t.Fatalf("Build: %v, %v; want broken: %t", again, problems, tt.broken)
			}
			if tt.swap {
				ref.Swap(set)
			}
			for _, c := range []*tls.Config{cfg, again} {
				if c == nil {
					continue
				}
				if got := shown(t, c, "example.org"); !got.Equal(tt.want.Certificate) {
					t.Errorf("shown: serial %v, want %v", got.SerialNumber, tt.want.SerialNumber)
				}
			}
		})
	}
	plain, _ := Spec{}.Build(&ref)
	if got := shown(t, plain, "example.org"); !got.Equal(global.Certificate) {
		t.Error("a listener without certfile shows that of another")
	}
}

func TestNoCertificate(t *testing.T) {
	var ref Ref
	cfg, _ := Spec{}.Build(&ref)
	if c := dial(t, cfg, &tls.Config{InsecureSkipVerify: true}); c.err == nil || c.serverErr == nil {
		t.Errorf("handshake without certificates: %v, %v; want errors", c.err, c.serverErr)
	}
}
