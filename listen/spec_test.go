package listen

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/tidewaiter/tidewaiter/internal/certs"
)

// TestSpecPage parses every YAML block of ejabberd's page about listen modules
// as it is printed. Only the paths of certificates are others.
func TestSpecPage(t *testing.T) {
	page := os.Getenv("TIDEWAITER_LISTEN_SPEC")
	if page == "" {
		t.Skip("TIDEWAITER_LISTEN_SPEC does not name the page")
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^``` ?yaml\n(.*?)^```").FindAllSubmatch(text, -1)
	if len(blocks) == 0 {
		t.Fatalf("%s has no YAML blocks", page)
	}
	pem := specCertificate(t)
	for i, b := range blocks {
		t.Run(specName(i), func(t *testing.T) {
			src := regexp.MustCompile(`/(?:etc/ejabberd|path/to)/\w+\.pem`).ReplaceAllString(string(b[1]), pem)
			got := problems(t, filepath.Dir(pem), src, testRegistry())
			if i >= len(specOutcomes) {
				t.Fatalf("a block that this test does not know; its problems:\n%s", got)
			}
			if want := dedent(specOutcomes[i]); got != want {
				t.Errorf("problems\ngot:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func specName(i int) string { return "block " + string(rune('A'+i)) }

func specCertificate(t *testing.T) string {
	t.Helper()
	cert, key, err := certs.SelfSigned([]string{"example.com", "example.org", "example.net"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "server.pem")
	if err := os.WriteFile(path, append(cert, key...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// specOutcomes are the problems of the blocks in the order of the page. None
// is an error.
var specOutcomes = []string{
	`
	warning: main.yml:1:1: hosts: no virtual hosts: localhost is served
	warning: main.yml:6:15: listen[0].starttls: there is no certificate, so STARTTLS is not offered; set certfiles at the top level
	`,
	noHosts, noHosts, noHosts, noHosts, noHosts, noHosts,
	`
	warning: main.yml:14:13: listen[0].access: the access rule c2s is not defined and denies everybody
	warning: main.yml:15:13: listen[0].shaper: the shaper rule c2s_shaper is not defined and sets no limit
	warning: main.yml:21:13: listen[1].access: the access rule c2s is not defined and denies everybody
	warning: main.yml:22:13: listen[1].shaper: the shaper rule c2s_shaper is not defined and sets no limit
	warning: main.yml:29:13: listen[2].shaper: the shaper rule s2s_shaper is not defined and sets no limit
	warning: main.yml:53:23: outgoing_s2s_timeout: 10000 is taken for milliseconds; write 10000 ms, or 10000 s for seconds
	`,
	`
	warning: main.yml:1:1: hosts: no virtual hosts: localhost is served
	warning: main.yml:15:13: shaper_rules.c2s_shaper[0].none: the ACL admin is not defined and matches nobody
	warning: main.yml:28:19: s2s_use_starttls: deprecated: means required, and that dialback is off; ejabberd wants required, and mod_s2s_dialback left out of modules
	warning: main.yml:56:14: listen[4].request_handlers["/mqtt"]: mod_mqtt is not in modules, which ejabberd needs: modules: {mod_mqtt: {}}; its defaults apply on all virtual hosts
	warning: main.yml:59:13: listen[5].module: deprecated: use ejabberd_http with request_handlers: {/: ejabberd_xmlrpc}
	warning: main.yml:60:22: listen[5].access_commands: has no effect any more; use api_permissions
	`,
}

const noHosts = `
	warning: main.yml:1:1: hosts: no virtual hosts: localhost is served
`
