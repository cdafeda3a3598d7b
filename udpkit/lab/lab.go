package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

// What a caller may want to branch on. Each is wrapped in a sentence that says what to do about it.
var (
	ErrNoRepository = errors.New("lab: not inside the udp-notebooks repository")
	ErrNoGo         = errors.New("lab: no usable Go")
	ErrNoPython     = errors.New("lab: no usable Python")
	ErrNoVenv       = errors.New("lab: Python lacks its venv module")
	ErrNoNotebook   = errors.New("lab: a notebook is missing")
	ErrInstall      = errors.New("lab: set-up failed")
	ErrPortInUse    = errors.New("is in use")
	ErrConfig       = fmt.Errorf("lab: %w", service.ErrConfig)
	ErrJupyter      = errors.New("lab: JupyterLab did not start or ended by itself")
	ErrIncomplete   = errors.New("lab: check failed")
	ErrUnsupported  = errors.New("lab: not supported on this system")
)

const (
	// DefaultPort is where JupyterLab listens unless told otherwise.
	DefaultPort = 8888
	// AnyPort as Config.Port takes a free port.
	AnyPort = -1
	// DefaultClients is the number of client notebooks that are opened.
	DefaultClients = 2
	// Kernel is the name of the kernel in the notebooks' metadata.
	Kernel = "gonb"

	maxClients = 32
)

// Config says how to set up, start or check the lab. The zero value works.
type Config struct {
	// Dir is a directory inside the repository, or the one that the copy of it is in, or will be.
	// Default: the working directory.
	Dir string
	// CacheDir holds all that is built and downloaded. Default: "udpkit" in the user's cache
	// directory.
	CacheDir string
	// Port is JupyterLab's TCP port, AnyPort for a free one. Default: 8888.
	Port int
	// Address is the IP address that JupyterLab listens on. Anything but a loopback address is
	// accepted inside a container only, where the port is published to 127.0.0.1 of the host.
	// Default: 127.0.0.1.
	Address string
	// Token is the password in JupyterLab's addresses, of printable ASCII without spaces. Default:
	// a new random one.
	Token string
	// PublicURL is where browsers reach JupyterLab if that is not Address and Port, as behind a
	// proxy: http or https, a host and perhaps a port, and no path. With it JupyterLab answers
	// whatever name it is called by, to who has the token. Default: none.
	PublicURL string
	// Layout is the system whose notebooks are opened side by side, one of Layouts. Default: none,
	// but the index.
	Layout string
	// Clients is how many client notebooks the layouts of the broadcast and the chat have, at most
	// 32. Default: 2.
	Clients int
	// Join is the address of a machine whose chat and relay servers the notebooks use, as a
	// teacher's: their layouts have none then. Not valid: those of this machine.
	Join netip.Addr
	// NoBrowser leaves it to the user to open the printed address.
	NoBrowser bool
	// Stdout gets progress, addresses and results. Default: os.Stdout.
	Stdout io.Writer
	// Ready is called with JupyterLab's address, token included, once it answers. Default: nothing
	// is called.
	Ready func(url string)
}

// withDefaults returns a copy in which nothing is left open.
func (c Config) withDefaults() (Config, error) {
	c.Dir = cmp.Or(c.Dir, ".")
	c.Port = cmp.Or(c.Port, DefaultPort)
	if c.Port < AnyPort || c.Port > 65535 {
		return c, fmt.Errorf("%w: port %d is not between 1 and 65535", ErrConfig, c.Port)
	}
	c.Clients = cmp.Or(c.Clients, DefaultClients)
	if c.Clients < 0 || c.Clients > maxClients {
		return c, fmt.Errorf("%w: %d clients is not between 1 and %d", ErrConfig, c.Clients, maxClients)
	}
	if c.Layout != "" && !slices.Contains(Layouts(), c.Layout) {
		return c, fmt.Errorf("%w: there is no layout %q: they are %s", ErrConfig, c.Layout, strings.Join(Layouts(), ", "))
	}
	c.Address = cmp.Or(c.Address, "127.0.0.1")
	address, err := netip.ParseAddr(c.Address)
	if err != nil {
		return c, fmt.Errorf("%w: %q is not an IP address", ErrConfig, c.Address)
	}
	if !address.IsLoopback() && !inContainer() {
		return c, fmt.Errorf("%w: outside a container JupyterLab listens on a loopback address only, not on %s, because "+
			"whoever reaches it can run programs here", ErrConfig, c.Address)
	}
	for _, r := range c.Token {
		if r <= ' ' || r > '~' {
			return c, fmt.Errorf("%w: the token (JUPYTER_TOKEN) has the character %q; JupyterLab takes letters, digits and signs of "+
				"ASCII only, without spaces", ErrConfig, r)
		}
	}
	if _, err := c.public(); err != nil {
		return c, err
	}
	if c.Stdout == nil {
		c.Stdout = os.Stdout
	}
	return c, nil
}

// public returns PublicURL, or nil for none.
func (c Config) public() (*url.URL, error) {
	if c.PublicURL == "" {
		return nil, nil
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%w: the public URL (UDPKIT_PUBLIC_URL) %q is not one such as https://lab.example.org, without a path",
			ErrConfig, c.PublicURL)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// inContainer reports whether a container engine started this process's system.
func inContainer() bool {
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			return true
		}
	}
	return os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

// Run sets up what is missing, copies the notebooks to where they are worked on, starts JupyterLab,
// opens the index, which leads to the other notebooks, or a layout, and returns nil when ctx ends.
// By then JupyterLab, its kernels and the programs in their cells have ended too, at most 3 s
// later.
func Run(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	// Asked first: nobody wants to learn of a taken port after minutes of set-up.
	port, err := freePort(cfg.Address, cfg.Port)
	if err != nil {
		return err
	}
	env, err := setUp(ctx, cfg, false)
	if err != nil {
		return stopped(ctx, err)
	}
	layouts, err := env.prepare(cfg)
	if err != nil {
		return err
	}
	if env.gopls.path != "" {
		if gopls, err := shareGopls(env.gopls); err != nil {
			fmt.Fprintf(cfg.Stdout, "Each notebook gets a gopls of its own, which takes more memory: %v\n", err)
		} else {
			defer gopls.end()
			env.Environ = append(env.Environ, goplsVariable+"="+gopls.address())
		}
	}
	server, err := startJupyter(ctx, env, cfg, port)
	if err != nil {
		return stopped(ctx, err)
	}
	defer server.stop()
	url, err := server.layOut(ctx, env, layouts, cfg.Layout)
	if err != nil {
		return stopped(ctx, err)
	}
	fmt.Fprintf(cfg.Stdout, "\nJupyterLab is ready. Start here:\n  %s\n", url)
	if env.have([]string{indexNotebook}) && cfg.Layout != "" {
		fmt.Fprintf(cfg.Stdout, "What there is, in %s:\n  %s\n", indexNotebook, server.layout(startWorkspace))
	} else if cfg.Layout == "" {
		fmt.Fprintf(cfg.Stdout, "That is %s, which leads to all others. The notebooks that run side by side:\n", indexNotebook)
		for _, name := range Layouts() {
			if layouts[name] != nil {
				fmt.Fprintf(cfg.Stdout, "  %-10s %s\n", name, server.layout(name))
			}
		}
	}
	fmt.Fprintf(cfg.Stdout, "You work on copies, in %s, so that git sees no change: a pull renews those that you have not edited.\n", env.work)
	fmt.Fprintln(cfg.Stdout, "Run a notebook with its menu's Run > Run All Cells. Ctrl-C here ends everything.")
	if !cfg.NoBrowser {
		defer openBrowser(env.Repository, url)()
	}
	if cfg.Ready != nil {
		cfg.Ready(url)
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(cfg.Stdout, "\nEnding JupyterLab and its kernels.")
		return nil
	case <-server.process.done:
		return server.died()
	}
}

// stopped turns the error of something that ctx's end cut short into nil: being told to end is no
// failure.
func stopped(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	return err
}
