package main

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// deployed returns a file of the folder deploy.
func deployed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// productionConfig writes the configuration of the folder deploy, with a
// certificate, into a new directory that stands for /etc/tidewaiter.
func productionConfig(t *testing.T, changes ...string) flags {
	t.Helper()
	dir := t.TempDir()
	certs := filepath.Join(dir, "certs")
	if err := os.Mkdir(certs, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := selfSigned(certs, []string{"example.org"}); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(deployed(t, "ejabberd.yml"), "/etc/tidewaiter/certs", filepath.ToSlash(certs))
	file := filepath.Join(dir, "ejabberd.yml")
	writeFile(t, file, strings.NewReplacer(changes...).Replace(text))
	return flags{config: file, data: filepath.Join(dir, "data"), check: true}
}

// The configuration passes the check. Entries of modules that this build does
// not have, or always has, are all that it may be warned of.
func TestProductionConfiguration(t *testing.T) {
	var out strings.Builder
	if status := check(productionConfig(t), &out); status != statusOK {
		t.Errorf("got status %d:\n%s", status, &out)
	}
	allowed := regexp.MustCompile(`: modules\.mod_\w+: (known to ejabberd, has no effect here|always on, its options have no effect here)$|^6 listeners, \d+ warnings?$`)
	for line := range strings.Lines(out.String()) {
		if line = strings.TrimSpace(line); !allowed.MatchString(line) {
			t.Errorf("the check says: %s", line)
		}
	}
}

// flagsOf returns the flags of a command line.
func flagsOf(command string) (args []string) {
	words := strings.Fields(command)
	return words[1:]
}

// Every command of the unit has flags that the server knows.
func TestUnitCommands(t *testing.T) {
	unit := deployed(t, "tidewaiter.service")
	commands := regexp.MustCompile(`(?m)^Exec\w+=(/usr/local/bin/tidewaiter .*)$`).FindAllStringSubmatch(unit, -1)
	if len(commands) != 2 {
		t.Fatalf("got %d commands of the server, want the start and the check before a reload", len(commands))
	}
	for _, m := range commands {
		if _, err := parseFlags(flagsOf(m[1]), t.Output()); err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
	}
	for _, want := range []string{
		"Type=notify", "NoNewPrivileges=yes", "ProtectSystem=strict", "StateDirectory=tidewaiter", "PrivateTmp=yes",
		"RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "SystemCallFilter=@system-service", "MemoryDenyWriteExecute=yes",
		"CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "LimitNOFILE=262144", "ExecReload=/bin/kill -HUP $MAINPID",
	} {
		if !slices.Contains(strings.Split(unit, "\n"), want) {
			t.Errorf("the unit lacks %s", want)
		}
	}
}

// The time that systemd waits is more than the server needs to stop.
func TestUnitWaitsForTheDrain(t *testing.T) {
	unit := deployed(t, "tidewaiter.service")
	f, err := parseFlags(flagsOf(regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindStringSubmatch(unit)[1]), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if want := "TimeoutStopSec=40s"; !strings.Contains(unit, want) || f.drain+overtime >= 40e9 {
		t.Errorf("-drain is %v and the server may take %v more: want less than %s", f.drain, overtime, want)
	}
}

// systemd takes the units as they are.
func TestUnitsVerify(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here: the units are not verified")
	}
	dir := t.TempDir()
	service := strings.ReplaceAll(deployed(t, "tidewaiter.service"), "/usr/local/bin/tidewaiter", os.Args[0])
	writeFile(t, filepath.Join(dir, "tidewaiter.service"), service)
	writeFile(t, filepath.Join(dir, "tidewaiter.socket"), deployed(t, "tidewaiter.socket"))
	for _, unit := range []string{"tidewaiter.service", "tidewaiter.socket"} {
		out, err := exec.Command(analyze, "verify", "--man=no", filepath.Join(dir, unit)).CombinedOutput()
		if err != nil || strings.Contains(string(out), "tidewaiter.") {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
	// 0 is the best and 100 the worst; an ordinary service has 96.
	out, err := exec.Command(analyze, "security", "--offline=yes", "--threshold=20", "--no-pager", filepath.Join(dir, "tidewaiter.service")).CombinedOutput()
	if bytes.Contains(out, []byte("unrecognized option")) {
		t.Log("this systemd-analyze is too old to rate the unit")
	} else if err != nil {
		t.Errorf("exposure of the service: %v\n%s", err, out)
	}
}

// The image has the server and nothing else.
func TestContainerfile(t *testing.T) {
	text := deployed(t, "Containerfile")
	build, image, ok := strings.Cut(text, "\nFROM scratch\n")
	if !ok {
		t.Fatal("the image is not made from scratch")
	}
	for want, in := range map[string]string{
		"FROM docker.io/library/golang:1.26 AS build\n":                                                  build,
		"RUN CGO_ENABLED=0 go build -trimpath -ldflags=\"-s -w\" -o /out/tidewaiter ./examples/server\n": build,
		"USER 65532:65532\n":                                    image,
		"VOLUME /var/lib/tidewaiter\n":                          image,
		"EXPOSE 5222 5223 5269\n":                               image,
		"STOPSIGNAL SIGTERM\n":                                  image,
		"ENTRYPOINT [\"/tidewaiter\"]\n":                        image,
		"COPY --from=build --chown=65532:65532 /out/data /var/": image,
	} {
		if !strings.Contains(in, want) {
			t.Errorf("the Containerfile lacks %q in its place", want)
		}
	}
	if strings.Contains(image, "\nRUN ") {
		t.Error("the image runs a command, and has no shell")
	}
	m := regexp.MustCompile(`(?m)^CMD \[(.*)\]$`).FindStringSubmatch(image)
	if m == nil {
		t.Fatal("the image has no default arguments")
	}
	if _, err := parseFlags(strings.Split(strings.ReplaceAll(m[1], `"`, ""), ", "), t.Output()); err != nil {
		t.Errorf("default arguments: %v", err)
	}
	goMod, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil || !strings.Contains(string(goMod), "\ngo 1.26.") {
		t.Errorf("go.mod wants another version of Go than the Containerfile has (%v)", err)
	}
}

// The image builds where there is something to build it with.
func TestContainerBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no image is built")
	}
	for _, tool := range []string{"podman", "buildah"} {
		if _, err := exec.LookPath(tool); err != nil {
			continue
		}
		cmd := exec.Command(tool, "build", "-f", filepath.Join("examples", "server", "deploy", "Containerfile"), ".")
		cmd.Dir = filepath.Join("..", "..")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s build: %v\n%s", tool, err, out)
		}
		return
	}
	t.Skip("neither podman nor buildah here: no image is built")
}

// Without cgo the server is one static file, which an image from scratch can
// run.
func TestStaticBinary(t *testing.T) {
	switch {
	case runtime.GOOS != "linux":
		t.Skip("static binaries are for Linux")
	case testing.Short():
		t.Skip("-short: the server is not built")
	}
	path := filepath.Join(t.TempDir(), "server")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("imported libraries: got %v, %v, want none", libraries, err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary needs a dynamic loader")
		}
	}
	cmd := exec.Command(path, "-check", "-config", filepath.Join(t.TempDir(), "none.yml"))
	cmd.Env = []string{} // as in an image that has nothing
	if out, err := cmd.Output(); err == nil || !strings.Contains(string(out), "no such file") {
		t.Errorf("the binary says %q, %v, want that the file is missing", out, err)
	}
}
