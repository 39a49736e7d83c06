//go:build interop

package interop

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// buildExample builds an example with the race detector and returns its path.
func buildExample(t *testing.T, name string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-race", "-o", binary, "./examples/"+name)
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build examples/%s: %v\n%s", name, err, out)
	}
	return binary
}

// webrtcExample runs examples/webrtc and returns the address of its page.
func webrtcExample(t *testing.T) string {
	t.Helper()
	addr := net.JoinHostPort("127.0.0.1", freePort(t))
	p := &process{
		name: "webrtc", dir: t.TempDir(), ready: addr,
		program: []string{buildExample(t, "webrtc"), "-http", addr, "-turn", net.JoinHostPort("127.0.0.1", freeTURNPort(t))},
	}
	t.Cleanup(func() {
		if p.cmd == nil {
			return
		}
		p.stop()
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("examples/webrtc ended with %d:\n%s", code, p.tail())
		}
	})
	p.launch(t)
	return "http://" + addr + "/"
}

// chromium starts a browser that trusts a CA besides its own, and returns a context
// whose children are tabs. ca: PEM file, or "".
func chromium(t *testing.T, ca string) context.Context {
	t.Helper()
	program := need(t, "chromium")
	home := t.TempDir()
	if ca != "" {
		trust(t, home, ca)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.Flag("no-sandbox", os.Getuid() == 0), // root's browser has none
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home),
		chromedp.UserDataDir(filepath.Join(home, "profile")),
		chromedp.Flag("allow-loopback-in-peer-connection", true),
		chromedp.WindowSize(1000, 760),
	)
	ctx, cancel := context.WithTimeout(context.Background(), 2*bound)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel) // waits for its end
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return ctx
}

// trust has the browser of a home folder trust a CA.
func trust(t *testing.T, home, ca string) {
	t.Helper()
	certutil := need(t, "certutil")
	dir := filepath.Join(home, ".pki", "nssdb")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-N", "-d", "sql:" + dir, "--empty-password"},
		{"-A", "-d", "sql:" + dir, "-n", "interop", "-t", "C,,", "-i", ca},
	} {
		if out, err := run(t, "", certutil, args...); err != nil {
			t.Fatalf("certutil %v: %v\n%s", args, err, out)
		}
	}
}

// tab is a tab with the page of examples/webrtc.
type tab struct {
	ctx context.Context
}

// openTab opens the page in a tab that is closed in the end of the test. With a relay
// it takes that one, in the form of an RTCIceServer, instead of its own.
func openTab(t *testing.T, browser context.Context, address string, relay any) tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	if relay != nil {
		server, err := json.Marshal(relay)
		if err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf(`{
			const Native = RTCPeerConnection
			window.RTCPeerConnection = class extends Native {
				constructor(c) { super({ ...c, iceServers: [%s] }) }
			}
		}`, server)
		add := chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
			return err
		})
		if err := chromedp.Do(ctx, add); err != nil {
			t.Fatal(err)
		}
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	return tab{ctx}
}

// do has a tab do something that takes no longer than it may.
func do[T any](t *testing.T, b tab, what string, action chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, bound/2)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		said, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		t.Fatalf("%s: %v; the page says\n%s", what, err, said)
	}
	return v
}

// until waits until an expression is true in the page.
func (b tab) until(t *testing.T, expression string) {
	t.Helper()
	// Tabs that are not in front paint no frames.
	do(t, b, expression, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(20*time.Millisecond)))
}

// text returns what an element of the page says.
func (b tab) text(t *testing.T, selector string) string {
	t.Helper()
	return do(t, b, selector, chromedp.Evaluate[string](fmt.Sprintf("document.querySelector(%q)?.textContent", selector)))
}

// talkByRelay has two tabs, each of which reaches a relay by a transport, connect and
// say something to each other.
func talkByRelay(t *testing.T, ana, bo tab, transports ...string) {
	t.Helper()
	for _, b := range []tab{ana, bo} {
		b.until(t, `document.querySelector("#state.good") !== null`)
	}
	for _, way := range [][2]tab{{ana, bo}, {bo, ana}} {
		said := "ahoy " + newID()
		do(t, way[0], "to say something", chromedp.SendKeys(chromedp.CSS("#text"), said+"\r"))
		way[1].until(t, `document.querySelector("li.there") !== null`)
		if got := way[1].text(t, "li.there"); got != said {
			t.Errorf("got %q, want %q", got, said)
		}
	}
	for i, b := range []tab{ana, bo} {
		b.until(t, `document.getElementById("local").textContent.includes(":")`)
		for selector, want := range map[string]string{
			"#transport": strings.ToUpper(transports[i]), "#local-type": "candidate: relay", "#remote-type": "candidate: relay",
		} {
			if got := b.text(t, selector); got != want {
				t.Errorf("%s: got %q, want %q", selector, got, want)
			}
		}
	}
}

// iceServer is an RTCIceServer.
type iceServer struct {
	URLs       string `json:"urls"`
	Username   string `json:"username"`
	Credential string `json:"credential"`
}

// timeLimited returns an RTCIceServer with a name that is good for an hour and the
// password that the secret makes of it.
func timeLimited(url string) iceServer {
	user := strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10) + ":somebody"
	mac := hmac.New(sha1.New, []byte(turnSecret))
	mac.Write([]byte(user))
	return iceServer{url, user, base64.StdEncoding.EncodeToString(mac.Sum(nil))}
}

// Two tabs of Chromium talk through nothing but a relay.
func TestChromium(t *testing.T) {
	site := webrtcExample(t)
	for _, c := range []credentials{accounts, timeLimits} {
		for name, start := range turnServers() {
			t.Run(name+" with "+c.String(), func(t *testing.T) {
				s := start(t, c)
				browser := chromium(t, s.ca)
				for _, way := range []struct{ transport, url string }{
					{"udp", "turn:127.0.0.1:" + s.plain + "?transport=udp"},
					{"tcp", "turn:127.0.0.1:" + s.plain + "?transport=tcp"},
					{"tls", "turns:localhost:" + s.tls + "?transport=tcp"},
				} {
					t.Run(way.transport, func(t *testing.T) {
						relay := iceServer{way.url, turnUser, turnPassword}
						if c == timeLimits {
							relay = timeLimited(way.url)
						}
						ana, bo := openTab(t, browser, site, relay), openTab(t, browser, site, relay)
						talkByRelay(t, ana, bo, way.transport, way.transport)
					})
				}
			})
		}
	}
}

// Two tabs talk as the example has them do by itself.
func TestWebRTCExample(t *testing.T) {
	site := webrtcExample(t)
	browser := chromium(t, "")
	ana, bo := openTab(t, browser, site, nil), openTab(t, browser, site+"?transport=tcp", nil)
	talkByRelay(t, ana, bo, "udp", "tcp")
	if dir := os.Getenv("INTEROP_LOGS"); dir != "" {
		picture := do(t, ana, "a picture", chromedp.CaptureScreenshot())
		write(t, filepath.Join(dir, "webrtc.png"), string(picture))
	}
}
