package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	o, err := parse(strings.Fields("-peers floor,tidewaiter -workloads chat,sessions,login-tls -rounds 2 -d 1s"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range o.bench.peers {
		got = append(got, p.name)
	}
	for _, r := range o.bench.rows {
		got = append(got, r.name)
	}
	want := "tidewaiter floor chat sessions-100 sessions-1000 sessions-5000 sessions-15000 login-tls"
	if strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !slices.Contains(o.bench.rows[0].args, "4s") && !slices.Contains(o.bench.rows[0].args, "1s") {
		t.Errorf("the measured time is missing: %q", o.bench.rows[0].args)
	}
	for _, args := range []string{"-peers openfire", "-workloads dance", "-rounds 0", "-d -1s", "more", "-what"} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%q: want an error", args)
		}
	}
}

func TestInsert(t *testing.T) {
	const document = "# A\n\n" + beginMark + "\nold\n" + endMark + "\n\nB\n"
	got, err := insert(document, "\nnew\n\n")
	if want := "# A\n\n" + beginMark + "\nnew\n" + endMark + "\n\nB\n"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if again, err := insert(got, "new"); err != nil || again != got {
		t.Errorf("twice: got %q, %v; want %q", again, err, got)
	}
	for _, bad := range []string{"", beginMark, endMark, endMark + beginMark, beginMark + endMark + beginMark, endMark + beginMark + endMark} {
		if got, err := insert(bad, "new"); err == nil {
			t.Errorf("%q: got %q, want an error", bad, got)
		}
	}
	path := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := insertFile(path, "new"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != got {
		t.Errorf("file: got %q, %v; want %q", text, err, got)
	}
}

func TestFigure(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{
		{0, "–"}, {-1, "–"}, {0.0123, "0.012"}, {0.5, "0.500"}, {1.234, "1.23"}, {14.76, "14.8"}, {99.96, "100.0"}, {123.4, "123"},
		{1234, "1,230"}, {999.6, "1,000"}, {577123, "577,000"}, {2332059, "2,330,000"},
	} {
		if got := figure(c.v); got != c.want {
			t.Errorf("%v: got %q, want %q", c.v, got, c.want)
		}
	}
}

// results makes a bench with made-up results.
func results(t *testing.T) *bench {
	o, err := parse([]string{"-workloads", "chat,idle"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b := &o.bench
	b.results = map[string]map[string][]meter.Result{"chat": {}, "idle": {}}
	for i, p := range b.peers[:2] {
		p.version = "1." + string(rune('0'+i))
		for round := range 3 {
			n := float64((4 - 3*i) * (1000 + 100*((round+1)%3)))
			b.results["chat"][p.name] = append(b.results["chat"][p.name], meter.Result{PerServerCPU: n, Seconds: 2, OtherCPU: 1})
			b.results["idle"][p.name] = append(b.results["idle"][p.name], meter.Result{KiBEach: 10 * float64(1+i), Seconds: 2, OtherCPU: 1})
		}
	}
	b.note("Prosody was left out: %v", errNotInstalled)
	b.note("Prosody was left out: %v", errNotInstalled)
	return b
}

func TestTable(t *testing.T) {
	var out strings.Builder
	m := machine{cpu: "CPU", cores: 2, memory: 24, system: "Linux 6"}
	results(t).table(&out, m, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))
	for _, want := range []string{
		"on 2026-01-02: CPU, 2 cores, 24 GiB, Linux 6",
		"Tidewaiter 1.0, ejabberd 1.1, Prosody, bare sockets. Rounds: 3",
		"Other programs took 25 % of the processors",
		"|  | unit | Tidewaiter | ejabberd | Prosody | bare sockets | to ejabberd | to bare sockets |\n" +
			"| --- | --- | --: | --: | --: | --: | --: | --: |\n" +
			"| messages of 100 bytes, 32 under way | messages per processor second | **4,400** (4,000–4,800) | **1,100** (1,000–1,200) | – | – | 4.00 | – |\n" +
			"| memory of an idle connection | KiB | **10.0** (10.0–10.0) | **20.0** (20.0–20.0) | – | – | 2.00 | – |\n",
		"- Prosody was left out: not installed\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant in it\n%s", &out, want)
		}
	}
	if n := strings.Count(out.String(), "left out"); n != 1 {
		t.Errorf("got the same note %d times, want once", n)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		v    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{1, 3}, 2}, {[]float64{1, 2, 9}, 2}} {
		if got := median(c.v); got != c.want {
			t.Errorf("%v: got %v, want %v", c.v, got, c.want)
		}
	}
}

func TestConfigurationsFollowTheProfile(t *testing.T) {
	b := &bench{cert: "/somewhere/cert.pem", store: "storage: disk"}
	for _, c := range []struct {
		file            string
		managed, stored string
	}{
		{"tidewaiter.yml", "mod_stream_mgmt", "mod_offline"},
		{"ejabberd.yml", "mod_stream_mgmt", "mod_offline"},
		{"prosody.cfg.lua", `"smacks"`, ""},
	} {
		for _, p := range []profile{{}, {managed: true}, {stored: true}} {
			path, err := configure(b, c.file, t.TempDir(), 5222, p)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text := string(raw)
			if !strings.Contains(text, "5222") || !strings.Contains(text, b.cert) || strings.Contains(text, "<no value>") {
				t.Errorf("%s: port or certificate is missing:\n%s", c.file, text)
			}
			if got, want := strings.Contains(text, c.managed), p.managed || p.stored; got != want {
				t.Errorf("%s of %+v: stream management: got %v, want %v", c.file, p, got, want)
			}
			if got := strings.Contains(text, c.stored); c.stored != "" && got != p.stored {
				t.Errorf("%s of %+v: offline messages: got %v, want %v", c.file, p, got, p.stored)
			}
		}
	}
}

func TestLaunchOfWhatDoesNotListen(t *testing.T) {
	path, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command")
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	_, err = launch(t.Context(), t.TempDir(), loopback(port), exec.Command(path, "version"))
	if err == nil || !strings.Contains(err.Error(), "go version") {
		t.Errorf("got %v, want an error with what the program has printed", err)
	}
	if _, err := launch(t.Context(), t.TempDir(), loopback(port), exec.Command("./does-not-exist")); err == nil {
		t.Error("a program that does not exist: want an error")
	}
}
