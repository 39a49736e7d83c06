package deptest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tidewaiter/tidewaiter"

// rule says what one package, or the packages below a folder (ending in /...),
// may import directly, besides the standard library. Names without a dot are
// relative to the module; a trailing /... allows what is below.
type rule struct {
	pkg   string
	allow []string
}

// vocabulary is what every module shares.
var vocabulary = []string{"acl", "shaper", "listen/command", "listen/stanza"}

// rules are tried in order; the first that names a package applies to it.
func rules() []rule {
	host := append([]string{"internal/...", "listen/host/..."}, vocabulary...)
	return []rule{
		{"acl", nil},
		{"shaper", []string{"acl"}},
		{"listen/command", nil},
		{"listen/stanza", []string{"acl", "shaper", "listen/command", "internal/jidprep", "internal/xmlstream"}},
		{"listen/all", []string{"..."}},
		{"listen/listentest", vocabulary},
		{"listen/prom", []string{"listen", "github.com/prometheus/client_golang/..."}},
		{"listen/host/boltstore", append([]string{"go.etcd.io/bbolt", "go.etcd.io/bbolt/..."}, host...)},
		{"listen/host/...", host},
		{"listen", []string{"acl", "shaper", "internal/conf", "internal/certs", "internal/sock", "internal/netserve", "go.yaml.in/yaml/v3"}},
		{"c2s", append([]string{"internal/xmppstream", "internal/sasl", "internal/netserve", "internal/certs", "internal/xmlstream"}, vocabulary...)},
		{"s2s", append([]string{"internal/xmppstream", "internal/sasl", "internal/netserve", "internal/certs", "internal/xmlstream"}, vocabulary...)},
		{"component", append([]string{"internal/xmppstream", "internal/sasl", "internal/netserve", "internal/certs", "internal/xmlstream"}, vocabulary...)},
		{"stun", append([]string{"internal/netserve", "stun/internal/...", "github.com/pion/stun", "golang.org/x/sys/unix"}, vocabulary...)},
		{"stun/internal/...", []string{"stun/internal/...", "github.com/pion/stun", "golang.org/x/sys/unix"}},
		{"httpd", append([]string{"internal/netserve", "internal/jidprep", "golang.org/x/net/http/httpguts"}, vocabulary...)},
		{"httpd/websocket", append([]string{"httpd", "internal/wsock", "internal/xmppstream", "internal/xmlstream", "internal/netserve"}, vocabulary...)},
		{"httpd/bosh", append([]string{"httpd", "internal/xmppstream", "internal/xmlstream", "internal/netserve"}, vocabulary...)},
		{"httpd/hostmeta", append([]string{"httpd", "internal/certs", "internal/netserve"}, vocabulary...)},
		{"httpd/...", append([]string{"httpd", "internal/calls", "internal/netserve"}, vocabulary...)},
		{"internal/wsock", []string{"internal/netserve", "nhooyr.io/websocket", "golang.org/x/sys/unix"}},
		{"internal/xmlstream", nil},
		{"internal/jidprep", []string{"mellium.im/xmpp/jid", "golang.org/x/text/...", "golang.org/x/net/idna"}},
		{"internal/sasl", append([]string{"github.com/xdg-go/..."}, vocabulary...)},
		{"internal/xmppstream", append([]string{"internal/xmlstream", "internal/sasl", "internal/netserve"}, vocabulary...)},
		{"internal/netserve", nil},
		{"internal/sock", []string{"internal/netserve", "golang.org/x/sys/unix", "github.com/pires/go-proxyproto"}},
		{"internal/certs", []string{"golang.org/x/net/idna"}},
		{"internal/conf", []string{"acl", "shaper", "internal/certs", "internal/jidprep", "go.yaml.in/yaml/v3"}},
		{"internal/bench", []string{"internal/load/meter", "golang.org/x/net/dns/dnsmessage"}},
		{"internal/load/...", append([]string{"internal/...", "golang.org/x/sys/unix", "github.com/pion/stun", "github.com/pion/turn/v2/..."}, vocabulary...)},
		{"internal/...", append([]string{"internal/..."}, vocabulary...)},
		{"examples/...", []string{"..."}},
	}
}

// exclusive lists packages of others that one package of ours alone imports.
var exclusive = map[string]string{
	"github.com/xdg-go/scram":        "internal/sasl",
	"github.com/xdg-go/stringprep":   "internal/sasl",
	"mellium.im/xmpp/jid":            "internal/jidprep",
	"github.com/pires/go-proxyproto": "internal/sock",
	"go.etcd.io/bbolt":               "listen/host/boltstore",
	"nhooyr.io/websocket":            "internal/wsock",

	"github.com/prometheus/client_golang/prometheus": "listen/prom",
}

// weight lists the modules that a program may pull in by importing a package.
var weight = map[string][]string{
	"acl":            nil,
	"shaper":         nil,
	"listen/stanza":  addresses,
	"c2s":            append([]string{"github.com/xdg-go/scram", "github.com/xdg-go/stringprep", "golang.org/x/crypto"}, addresses...),
	"s2s":            append([]string{"golang.org/x/crypto", "github.com/xdg-go/scram", "github.com/xdg-go/stringprep"}, addresses...),
	"stun":           {"github.com/pion/stun", "github.com/pion/dtls/v2", "github.com/pion/logging", "github.com/pion/transport/v2", "golang.org/x/crypto", "golang.org/x/sys"},
	"component":      append([]string{"golang.org/x/crypto", "github.com/xdg-go/scram", "github.com/xdg-go/stringprep"}, addresses...),
	"httpd":          addresses,
	"httpd/xmlrpc":   addresses,
	"httpd/hostmeta": addresses,
	"httpd/api":      addresses,
	"httpd/ctl":      addresses,
	"httpd/oauth":    addresses,
}

// addresses are the modules that prepare JIDs off the fast path.
var addresses = []string{"mellium.im/xmpp", "mellium.im/xmlstream", "mellium.im/reader", "golang.org/x/text", "golang.org/x/net"}

type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
	Module     *struct{ Path string }
}

func golist(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Standard,Module"}, args...)...)
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, &stderr)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func matches(pattern, name string) bool {
	if pattern == "..." {
		return true
	}
	if dir, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == dir || strings.HasPrefix(name, dir+"/")
	}
	return pattern == name
}

func allowed(name, imported string) bool {
	for _, r := range rules() {
		if matches(r.pkg, name) {
			return slices.ContainsFunc(r.allow, func(p string) bool { return matches(p, imported) })
		}
	}
	return false
}

func TestImportRules(t *testing.T) {
	std := map[string]bool{"C": true, "unsafe": true}
	for _, p := range golist(t, "std") {
		std[p.ImportPath] = true
	}
	for _, p := range golist(t, "./...") {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, imp := range p.Imports {
			if std[imp] {
				continue
			}
			short := strings.TrimPrefix(imp, module+"/")
			if !allowed(name, short) {
				t.Errorf("%s imports %s: no rule allows it", name, short)
			}
			if only, ok := exclusive[imp]; ok && only != name && !strings.HasPrefix(name, "examples/") {
				t.Errorf("%s imports %s: %s alone may", name, imp, only)
			}
		}
	}
}

func TestWeight(t *testing.T) {
	for name, allow := range weight {
		t.Run(name, func(t *testing.T) {
			for _, p := range golist(t, "-deps", "./"+name) {
				if p.Standard || p.Module == nil || p.Module.Path == module {
					continue
				}
				if !slices.Contains(allow, p.Module.Path) {
					t.Errorf("%s pulls in %s by package %s", name, p.Module.Path, p.ImportPath)
				}
			}
		})
	}
}

func TestTopLevel(t *testing.T) {
	want := []string{
		"listen", "c2s", "s2s", "component", "stun", "sip", "httpd", "mqtt", "shaper", "acl", "examples",
		"go.mod", "go.sum", "LICENSE", "README.md", "internal",
		"data", // not in the repository: what examples/server keeps when it is started here
	}
	entries, err := os.ReadDir(root(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if n := e.Name(); !strings.HasPrefix(n, ".") && !slices.Contains(want, n) {
			t.Errorf("%s stands at the top of the repository: give it a home in a folder", n)
		}
	}
	for _, n := range []string{"go.mod", "go.sum", "LICENSE", "README.md", "listen", "c2s", "shaper", "acl", "examples", "internal"} {
		if _, err := os.Stat(filepath.Join(root(t), n)); err != nil {
			t.Errorf("top of the repository: %v", err)
		}
	}
}
