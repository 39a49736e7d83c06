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
	names, err := serveNames()
	if err != nil {
		t.Fatal(err)
	}
	defer names.close()
	b := &bench{cert: "/somewhere/cert.pem", ca: "/somewhere/ca.pem", store: "storage: disk", names: names}
	for _, c := range []struct {
		file                                      string
		managed, stored, component, servers, turn string
	}{
		{"tidewaiter.yml", "mod_stream_mgmt", "mod_offline", "ejabberd_service", "ejabberd_s2s_in", "ejabberd_stun"},
		{"ejabberd.yml", "mod_stream_mgmt", "mod_offline", "ejabberd_service", "ejabberd_s2s_in", "ejabberd_stun"},
		{"prosody.cfg.lua", `"smacks"`, "", "component_secret", "s2s_ports", ""},
	} {
		for _, p := range []profile{{}, {managed: true}, {stored: true}, {component: true}, {servers: true}, {turn: true}} {
			if p.turn && c.turn == "" { // it is none for that
				continue
			}
			path, err := configure(b, c.file, place{profile: p, dir: t.TempDir(), domain: "one.example", port: 5222, second: 5777})
			if err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text := string(raw)
			if !strings.Contains(text, "5222") || !strings.Contains(text, b.cert) || !strings.Contains(text, "one.example") || strings.Contains(text, "<no value>") {
				t.Errorf("%s: port, domain or certificate is missing:\n%s", c.file, text)
			}
			for _, part := range []struct {
				what string
				want bool
			}{
				{c.managed, p.managed || p.stored}, {c.stored, p.stored}, {c.component, p.component}, {componentDomain, p.component},
				{c.servers, p.servers}, {b.ca, p.servers}, {"5777", p.component || p.servers || p.turn}, {c.turn, p.turn}, {"auth_password_format: plain", p.turn},
			} {
				if got := strings.Contains(text, part.what); part.what != "" && got != part.want {
					t.Errorf("%s of %+v: %s: got %v, want %v", c.file, p, part.what, got, part.want)
				}
			}
		}
	}
}

func TestConfigurationOfCoturn(t *testing.T) {
	names, err := serveNames()
	if err != nil {
		t.Fatal(err)
	}
	defer names.close()
	at := place{profile: profile{turn: true}, dir: t.TempDir(), domain: "localhost", second: 5777}
	path, err := configure(&bench{names: names}, "turnserver.conf", at)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"listening-port=5777\n", "realm=localhost\n", "user=turn0:pass\n", "min-port=40000\nmax-port=60999\n", "userdb=" + at.dir + "/"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("got\n%s\nwant in it %s", text, want)
		}
	}
}

// TestRowsOfSTUN runs no servers.
func TestRowsOfSTUN(t *testing.T) {
	o, err := parse(strings.Fields("-workloads stun-udp,stun-tcp,turn-200"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b := &o.bench
	var got []string
	for i := range b.rows {
		for _, p := range b.peers {
			if b.concerns(&b.rows[i], p) {
				got = append(got, b.rows[i].name+" "+p.name)
			}
		}
	}
	want := []string{
		"stun-udp tidewaiter", "stun-udp ejabberd", "stun-udp coturn", "stun-udp floor",
		"stun-tcp tidewaiter", "stun-tcp ejabberd", "stun-tcp coturn",
		"turn-200 tidewaiter", "turn-200 ejabberd", "turn-200 coturn",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	p := b.peer("coturn")
	p.running, p.at = &process{addr: "127.0.0.1:1"}, place{profile: b.rows[0].profile, second: 2}
	args, err := b.arguments(&b.rows[0], p, nil)
	if text := strings.Join(args, " "); err != nil || !strings.HasSuffix(text, "-loss 1 -addr 127.0.0.1:2 -user turn0 -password pass") || strings.Contains(text, "-domain") {
		t.Errorf("got %s, %v", text, err)
	}
	if p := b.peer("prosody"); b.needs(p) {
		t.Error("Prosody is started for rows of STUN")
	}
	for _, c := range []struct {
		peer  string
		ports int
	}{{"tidewaiter", 2}, {"coturn", 1}, {"floor", 1}} {
		at := place{profile: profile{turn: true}}
		listens, err := b.peer(c.peer).ports(&at)
		if err != nil || len(listens) != c.ports || at.second == 0 {
			t.Errorf("%s: got %q, %v; want %d that accept connections", c.peer, listens, err, c.ports)
		}
	}
}

// TestTablesOfTwoKinds has columns for those alone that a table is about, and two
// figures of one run.
func TestTablesOfTwoKinds(t *testing.T) {
	o, err := parse(strings.Fields("-peers tidewaiter,prosody,coturn,floor -workloads chat,stun-udp-paced"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b := &o.bench
	b.results = map[string]map[string][]meter.Result{"chat": {}, "stun-udp-paced": {}}
	for name, r := range map[string]meter.Result{
		"tidewaiter": {PerServerCPU: 200000, P99: 0.25},
		"coturn":     {PerServerCPU: 100000, P99: 1, Count: 693, Unanswered: 7, Drops: meter.Drops{Receive: 1200, Send: 34}, Settings: map[string]string{"skipped": "5"}},
	} {
		if err := b.record(&b.rows[1], b.peer(name), 0, r); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	b.table(&out, machine{}, time.Now())
	for _, want := range []string{
		"Tidewaiter, Prosody, coturn, bare sockets. Rounds",
		"\n|  | unit | Tidewaiter | Prosody | bare sockets | to bare sockets |\n",
		"in the worst run: coturn 1.00 % (1,234 datagrams were dropped by the kernel).\n",
		"- Binding over UDP, 20,000 requests a second, coturn: the rate was not kept in a run: there was no room for 5 requests\n",
		"\n|  | unit | Tidewaiter | coturn | bare sockets | to coturn | to bare sockets |\n" +
			"| --- | --- | --: | --: | --: | --: | --: |\n" +
			"| Binding over UDP, 20,000 requests a second | µs of the processor | **5.00** | **10.0** | – | 2.00 | – |\n" +
			"| latency (p99) of Binding over UDP, 20,000 requests a second | ms | **0.250** | **1.00** | – | 4.00 | – |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant in it\n%s", &out, want)
		}
	}
}

// TestRowsOfTwoServers runs no servers.
func TestRowsOfTwoServers(t *testing.T) {
	o, err := parse(strings.Fields("-peers tidewaiter,ejabberd,floor -workloads federation,component,chat"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b := &o.bench
	for _, p := range b.peers {
		p.running, p.at = &process{addr: p.name + ":1", cmd: &exec.Cmd{Process: &os.Process{Pid: 7}}}, place{domain: p.domain(), second: 2}
	}
	ours := b.peer("tidewaiter")
	var got []string
	for i := range b.rows {
		r := &b.rows[i]
		for _, p := range b.peers {
			if b.concerns(r, p) {
				with := "alone"
				if other := b.other(r, p); other != nil {
					with = "with " + other.name
				}
				got = append(got, r.name+" "+p.name+" "+with)
			}
		}
	}
	want := []string{
		"federation-ejabberd tidewaiter with ejabberd",
		"federation-same tidewaiter with tidewaiter-2", "federation-same ejabberd with ejabberd-2",
		"component tidewaiter alone", "component ejabberd alone", "component floor alone",
		"chat tidewaiter alone", "chat ejabberd alone", "chat floor alone",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	args, err := b.arguments(&b.rows[0], ours, b.peer("ejabberd"))
	if text := strings.Join(args, " "); err != nil || !strings.HasSuffix(text, "-peer-addr ejabberd:1 -peer-domain ejabberd.example -peer-pid 7") {
		t.Errorf("got %s, %v", text, err)
	}
	if got := b.other(&b.rows[2], ours); got != b.twins[ours] || len(b.twins) != 2 {
		t.Errorf("got another second server than before: %+v", got)
	}
}

// TestTableOfTwoServers has each server's own figure in its column.
func TestTableOfTwoServers(t *testing.T) {
	o, err := parse(strings.Fields("-peers tidewaiter,ejabberd -workloads chat-tls,federation-ejabberd,federation-same,domains"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b := &o.bench
	b.results = make(map[string]map[string][]meter.Result)
	for _, r := range b.rows {
		b.results[r.name] = make(map[string][]meter.Result)
	}
	b.log = io.Discard
	note := func(row int, peer string, r meter.Result) {
		if err := b.record(&b.rows[row], b.peer(peer), 0, r); err != nil {
			t.Fatal(err)
		}
	}
	between := meter.Result{Count: 80000, ServerCPU: 0.5, PeerCPU: 4, PerServerCPU: 160000, PerPeerCPU: 20000}
	note(0, "tidewaiter", meter.Result{PerServerCPU: 200000})
	note(1, "tidewaiter", between)
	note(1, "ejabberd", between.Swapped())
	note(2, "tidewaiter", meter.Result{Count: 80000, ServerCPU: 0.5, PeerCPU: 0.5})
	note(3, "tidewaiter", meter.Result{RSSBefore: 10240, RSSAfter: 51200})
	var out strings.Builder
	b.table(&out, machine{}, time.Now())
	for _, want := range []string{
		"| messages between Tidewaiter and ejabberd | messages per processor second of each | **160,000** | **20,000** | 8.00 |\n",
		"| messages between two servers of one kind | messages per processor second of both | **80,000** | – | – |\n",
		"| memory of 1,000 idle remote domains over TLS | MiB | **40.0** | – | – |\n",
		"both over TLS: Tidewaiter 0.400.\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant in it\n%s", &out, want)
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
	_, err = launch(t.Context(), t.TempDir(), []string{loopback(port)}, exec.Command(path, "version"))
	if err == nil || !strings.Contains(err.Error(), "go version") {
		t.Errorf("got %v, want an error with what the program has printed", err)
	}
	if _, err := launch(t.Context(), t.TempDir(), []string{loopback(port)}, exec.Command("./does-not-exist")); err == nil {
		t.Error("a program that does not exist: want an error")
	}
}
