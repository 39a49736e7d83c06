package main

import (
	"path/filepath"
	"strings"
	"testing"
)

const diffConfig = `hosts: [one.test]
certfiles: [one.test.pem]
acl: {admin: {user: ana@one.test}}
shaper: {normal: 1000}
modules: {mod_register: {password_strength: 32}}
listen:
  - {port: 5222, ip: 127.0.0.1, module: ejabberd_c2s, starttls: true}
  - {port: 5223, ip: 127.0.0.1, module: ejabberd_c2s, tls: true}
  - {port: 5269, ip: 127.0.0.1, module: ejabberd_s2s_in}
  - {port: 5347, ip: 127.0.0.1, module: ejabberd_service, hosts: {tug.test: {password: heave}}}
`

// TestDiff says what a reload would do, with the exit status.
func TestDiff(t *testing.T) {
	const kept = "a reload would make 1 change and keep 4 listeners\n"
	tests := []struct {
		name, old, new string // what is replaced
		status         int
		want           string
	}{
		{"nothing", "", "", 0, "a reload would change nothing (4 listeners)\n"},
		{"a comment", "acl:", "# admins\nacl:", 0, "a reload would change nothing (4 listeners)\n"},
		{"option", "starttls: true", "starttls_required: true", 3, `updated    127.0.0.1:5222 tcp ejabberd_c2s
           starttls: true → unset
           starttls_required: unset → true
a reload would make 1 change and keep 3 listeners
`},
		{"port", "port: 5223", "port: 5224", 3, `added      127.0.0.1:5224 tcp ejabberd_c2s
removed    127.0.0.1:5223 tcp ejabberd_c2s
a reload would make 2 changes and keep 3 listeners
`},
		{"acl", "user: ana@", "user: bo@", 3, "changed    acl.admin: [user: ana@one.test] → [user: bo@one.test]\n" + kept},
		{"shaper", "1000", "2000", 3, "changed    shaper.normal: {rate: 1000, burst_size: 0} → {rate: 2000, burst_size: 0}\n" + kept},
		{"module", "32", "40", 3, "changed    modules.mod_register.password_strength: 32 → 40\n" + kept},
		{"top level", "hosts: [one.test]\n", "hosts: [one.test]\nloglevel: debug\n", 3, `changed    loglevel: unset → "debug"` + "\n" + kept},
		{"other servers", "hosts: [one.test]\n", "hosts: [one.test]\ns2s_use_starttls: required\ns2s_ciphers: HIGH\noutgoing_s2s_timeout: 5 s\n", 3, `updated    127.0.0.1:5269 tcp ejabberd_s2s_in
           ciphers: unset → HIGH
changed    outgoing_s2s_timeout: unset → 5s
changed    s2s_ciphers: unset → HIGH
changed    s2s_use_starttls: unset → "required"
a reload would make 4 changes and keep 3 listeners
`},
		{"component", "heave", "haul", 3, `updated    127.0.0.1:5347 tcp ejabberd_service
           hosts: (hidden) → (hidden)
a reload would make 1 change and keep 3 listeners
`},
		{"host", "hosts: [one.test]", "hosts: [one.test, two.test]", 3, `changed    hosts: ["one.test",] → ["one.test","two.test",]` + "\n" + kept},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			f := flags{check: true, config: filepath.Join(dir, "new.yml"), diff: filepath.Join(dir, "old.yml"), data: dir}
			if _, err := selfSigned(dir, []string{"one.test", "two.test"}); err != nil {
				t.Fatal(err)
			}
			writeFile(t, f.diff, diffConfig)
			writeFile(t, f.config, strings.Replace(diffConfig, tt.old, tt.new, 1))
			var out strings.Builder
			status := check(f, &out)
			checked, got, _ := strings.Cut(out.String(), "\n")
			if status != tt.status || got != tt.want {
				t.Errorf("status %d, want %d; got:\n%s\nwant:\n%s", status, tt.status, got, tt.want)
			}
			if checked != "4 listeners, 0 warnings" {
				t.Errorf("got %q, want the result of the check first", checked)
			}
		})
	}
}

// A certificate counts by what clients are shown.
func TestDiffOfCertificates(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		path, err := selfSigned(dir, []string{"one.test"})
		if err != nil {
			t.Fatal(err)
		}
		moveFile(t, path, filepath.Join(dir, name+".pem"))
		writeFile(t, filepath.Join(dir, name+".yml"), strings.Replace(diffConfig, "one.test.pem", name+".pem", 1))
	}
	f := flags{check: true, config: filepath.Join(dir, "b.yml"), diff: filepath.Join(dir, "a.yml"), data: dir}
	var out strings.Builder
	if status := check(f, &out); status != statusChanges || !strings.Contains(out.String(), "changed    certificate.one.test: until 2") {
		t.Errorf("status %d; got:\n%s", status, &out)
	}
}

// With mistakes in either file there is nothing to compare.
func TestDiffWithMistakes(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"old", "listen: 5\n", "hosts: [one.test]\n", "old.yml:1:9: listen: want a list"},
		{"new", "hosts: [one.test]\n", "listen: 5\n", "new.yml:1:9: listen: want a list"},
		{"no old", "", "hosts: [one.test]\n", "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			f := flags{check: true, config: filepath.Join(dir, "new.yml"), diff: filepath.Join(dir, "old.yml"), data: dir}
			writeFile(t, f.config, tt.new)
			if tt.old != "" {
				writeFile(t, f.diff, tt.old)
			}
			var out strings.Builder
			if status := check(f, &out); status != statusError || !strings.Contains(out.String(), tt.want) {
				t.Errorf("status %d, want %d; got:\n%s\nwant %s", status, statusError, &out, tt.want)
			}
		})
	}
}
