package report

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A browser shows pages, and remembers what they asked the network for and what they
// wrote to the console.
type browser struct {
	ctx context.Context

	mu                sync.Mutex
	requests, console []string
}

// newBrowser starts Chromium without a window.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed (Debian: apt-get install chromium); .ci/run installs it")
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox)...) // the page is ours, and in a container there is no sandbox
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{}
	if err := chromedp.Listen(ctx, b.note); err != nil { // starts the browser, which lives as long as this context
		t.Fatal(err)
	}
	b.ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	if _, err := chromedp.Call(b.ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *log.EventEntryAdded:
		b.console = append(b.console, e.Entry.Text)
	case *runtime.EventConsoleAPICalled:
		b.console = append(b.console, string(e.Type))
	case *runtime.EventExceptionThrown:
		b.console = append(b.console, e.ExceptionDetails.Text)
	}
}

// show opens a page at a width, by day or by night, on a screen or on paper.
func (b *browser) show(t *testing.T, url string, width int64, scheme, media string) {
	t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err == nil {
		err = chromedp.Do(b.ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(url))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// evaluate asks the page.
func evaluate[T any](t *testing.T, b *browser, expression string) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// The page works from a file: it asks for nothing else, writes nothing to the console,
// is no wider than a phone, has its colours by day and by night, and can be printed.
// With REPORT_SHOTS=FOLDER pictures of it are kept there to look at.
func TestPageInBrowser(t *testing.T) {
	b := newBrowser(t)
	l := newLab(t)
	l.suite()
	l.add(l.hostile())
	r, err := Open(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := r.HTML(&page); err != nil {
		t.Fatal(err)
	}
	l.write(pageName, page.Bytes())
	url := "file://" + filepath.Join(l.dir, pageName)
	for _, v := range []struct {
		name          string
		width         int64
		scheme, media string
		ground, ink   string
	}{
		{"phone-light", 360, "light", "screen", "rgb(255, 255, 255)", "rgb(28, 31, 35)"},
		{"phone-dark", 360, "dark", "screen", "rgb(21, 24, 28)", "rgb(230, 232, 235)"},
		{"desktop-light", 1280, "light", "screen", "rgb(255, 255, 255)", "rgb(28, 31, 35)"},
		{"desktop-dark", 1280, "dark", "screen", "rgb(21, 24, 28)", "rgb(230, 232, 235)"},
		{"print", 794, "dark", "print", "rgb(255, 255, 255)", "rgb(0, 0, 0)"}, // on paper it is always day
	} {
		t.Run(v.name, func(t *testing.T) {
			b.show(t, url, v.width, v.scheme, v.media)
			if got := evaluate[int64](t, b, `document.documentElement.scrollWidth`); got > v.width {
				wide := evaluate[string](t, b, `[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.wide, pre, svg')).slice(0, 5).map(e => e.outerHTML.slice(0, 120)).join('\n')`)
				t.Errorf("the page is %d wide on a screen of %d; too wide are\n%s", got, v.width, wide)
			}
			if got := evaluate[string](t, b, `getComputedStyle(document.body).backgroundColor`); got != v.ground {
				t.Errorf("the ground is %s, want %s", got, v.ground)
			}
			// Letters of pictures follow the page, so that they can be read on its ground.
			if got := evaluate[string](t, b, `getComputedStyle(document.querySelector('svg text')).fill`); got != v.ink {
				t.Errorf("letters of pictures are %s, want %s", got, v.ink)
			}
			if got := evaluate[float64](t, b, `Math.min(...[...document.querySelectorAll('svg text')].map(e => e.getBoundingClientRect().height))`); got < 8 {
				t.Errorf("letters of pictures are %g pixels high", got)
			}
			if got := evaluate[int](t, b, `[...document.querySelectorAll('svg')].filter(s => !s.getAttribute('aria-label') || s.getAttribute('role') != 'img').length`); got > 0 {
				t.Errorf("%d pictures have no words for those who cannot see them", got)
			}
			if got := evaluate[int](t, b, `[...document.querySelectorAll('table.cards td:empty')].filter(e => innerWidth < 700 && e.getBoundingClientRect().height > 0).length`); got > 0 {
				t.Errorf("%d names of cells stand without anything behind them", got)
			}
			if got := evaluate[int](t, b, `[...document.querySelectorAll('a[href^="#"]')].filter(a => !document.getElementById(a.hash.slice(1))).length`); got > 0 {
				t.Errorf("%d links lead nowhere", got)
			}
			if got := evaluate[int](t, b, `document.querySelectorAll('script, img, iframe, link, object, embed').length`); got > 0 {
				t.Errorf("the page has %d elements that load something", got)
			}
			if folder := os.Getenv("REPORT_SHOTS"); folder != "" {
				b.shoot(t, filepath.Join(folder, v.name+".png"))
			}
		})
	}
	pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF())
	if err != nil || !strings.HasPrefix(string(pdf), "%PDF") {
		t.Errorf("printing: %d bytes, %v", len(pdf), err)
	}
	if folder := os.Getenv("REPORT_SHOTS"); folder != "" {
		if err := os.WriteFile(filepath.Join(folder, "print.pdf"), pdf, 0o644); err != nil {
			t.Error(err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) == 0 {
		t.Error("no request was seen at all, so this test does not look")
	}
	for _, u := range b.requests {
		if u != url {
			t.Errorf("the page asks for %s", u)
		}
	}
	if len(b.console) > 0 {
		t.Errorf("the page writes to the console: %q", b.console)
	}
}

// shoot keeps a picture of the whole page.
func (b *browser) shoot(t *testing.T, path string) {
	t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(path, png, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
