//go:build interop

package interop

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// specBlocks returns the YAML blocks of ejabberd's page about listen modules.
// It must be there: TIDEWAITER_LISTEN_SPEC names it.
func specBlocks(t *testing.T) []string {
	t.Helper()
	page := os.Getenv("TIDEWAITER_LISTEN_SPEC")
	if page == "" {
		t.Fatal("TIDEWAITER_LISTEN_SPEC does not name the page about listen modules")
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, b := range regexp.MustCompile("(?ms)^``` ?yaml\n(.*?)^```").FindAllSubmatch(text, -1) {
		blocks = append(blocks, string(b[1]))
	}
	return blocks
}

// specLong returns the i-th of the two long examples at the end of the page.
func specLong(i int) func(t *testing.T) string {
	return func(t *testing.T) string {
		blocks := specBlocks(t)
		if len(blocks) < 2 {
			t.Fatalf("the page has %d YAML blocks", len(blocks))
		}
		return blocks[len(blocks)-2+i]
	}
}

// specOf returns the i-th example whose listeners are all of one module.
func specOf(module string, i int) func(t *testing.T) string {
	return func(t *testing.T) string {
		var found []string
		for _, b := range specBlocks(t) {
			if n := strings.Count(b, "module: "); n > 0 && n == strings.Count(b, "module: "+module+"\n") {
				found = append(found, b)
			}
		}
		if i >= len(found) {
			t.Fatalf("the page has %d examples of %s", len(found), module)
		}
		return found[i]
	}
}

// check runs the server's -check on a configuration whose certificate paths
// point to cert, and returns what it printed, with the file's name as FILE, and
// the exit status.
func check(t *testing.T, config, cert string) (string, int) {
	t.Helper()
	config = regexp.MustCompile(`/(?:etc/ejabberd|path/to)/\w+\.pem`).ReplaceAllString(config, cert)
	file := filepath.Join(t.TempDir(), "ejabberd.yml")
	write(t, file, config)
	var out bytes.Buffer
	cmd := exec.Command(serverBinary, "-check", "-config", file)
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run()
	return strings.ReplaceAll(out.String(), file, "FILE"), cmd.ProcessState.ExitCode()
}

// The two long examples at the end of the page: the documented warnings, and a
// line for each module that this build lacks.
func TestSpecExamplesCheck(t *testing.T) {
	cert := filepath.Join(t.TempDir(), "server.pem")
	write(t, cert, newAuthority(t).issue(t, "example.com", "example.org", "example.net"))
	for i, want := range []string{specThreeDomains, specTransports} {
		got, status := check(t, specLong(i)(t), cert)
		if got != strings.TrimPrefix(want, "\n") {
			t.Errorf("example %d: got\n%s\nwant%s", i+1, got, want)
		}
		if status != 1 {
			t.Errorf("example %d: status %d, want 1 as modules are missing", i+1, status)
		}
	}
}

// The two examples of ejabberd_stun have nothing that this build lacks.
func TestSpecSTUNCheck(t *testing.T) {
	cert := filepath.Join(t.TempDir(), "server.pem")
	write(t, cert, newAuthority(t).issue(t, "localhost"))
	for i, want := range []string{"3 listeners, 1 warning\n", "1 listener, 1 warning\n"} {
		got, status := check(t, specOf("ejabberd_stun", i)(t), cert)
		want = "warning: FILE:1:1: hosts: no virtual hosts: localhost is served\n" + want
		if got != want || status != 0 {
			t.Errorf("example %d: status %d, got\n%s\nwant\n%s", i+1, status, got, want)
		}
	}
}

const specThreeDomains = `
warning: FILE:14:13: listen[0].access: the access rule c2s is not defined and denies everybody
warning: FILE:15:13: listen[0].shaper: the shaper rule c2s_shaper is not defined and sets no limit
warning: FILE:21:13: listen[1].access: the access rule c2s is not defined and denies everybody
warning: FILE:22:13: listen[1].shaper: the shaper rule c2s_shaper is not defined and sets no limit
warning: FILE:29:13: listen[2].shaper: the shaper rule s2s_shaper is not defined and sets no limit
warning: FILE:39:14: listen[4].request_handlers["/bosh"]: mod_bosh is not in modules, which ejabberd needs: modules: {mod_bosh: {}}; its defaults apply on all virtual hosts
warning: FILE:47:14: listen[5].request_handlers["/bosh"]: mod_bosh is not in modules, which ejabberd needs: modules: {mod_bosh: {}}; its defaults apply on all virtual hosts
warning: FILE:53:23: outgoing_s2s_timeout: 10000 is taken for milliseconds; write 10000 ms, or 10000 s for seconds
error: FILE:46:15: listen[5].request_handlers["/admin"]: this build has no request handler ejabberd_web_admin
1 error, 8 warnings
`

const specTransports = `
warning: FILE:1:1: hosts: no virtual hosts: localhost is served
warning: FILE:15:13: shaper_rules.c2s_shaper[0].none: the ACL admin is not defined and matches nobody
warning: FILE:28:19: s2s_use_starttls: deprecated: means required, and that dialback is off; ejabberd wants required, and mod_s2s_dialback left out of modules
warning: FILE:55:14: listen[4].request_handlers["/bosh"]: mod_bosh is not in modules, which ejabberd needs: modules: {mod_bosh: {}}; its defaults apply on all virtual hosts
warning: FILE:59:13: listen[5].module: deprecated: use ejabberd_http with request_handlers: {/: ejabberd_xmlrpc}
warning: FILE:60:22: listen[5].access_commands: has no effect any more; use api_permissions
error: FILE:54:15: listen[4].request_handlers["/admin"]: this build has no request handler ejabberd_web_admin
error: FILE:56:14: listen[4].request_handlers["/mqtt"]: this build has no request handler mod_mqtt
2 errors, 6 warnings
`
