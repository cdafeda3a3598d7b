package lab

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	startWorkspace = "start" // the index by itself
	startTimeout   = time.Minute
	// Ending: cells get cellGrace to end by interrupt, with their summaries; JupyterLab has ended
	// its kernels, or all are killed, when serverGrace is over too. Together with the killing that
	// makes less than 3 s.
	cellGrace   = 1000 * time.Millisecond
	serverGrace = 1000 * time.Millisecond
)

// jupyter is a JupyterLab that was started here.
type jupyter struct {
	process *process
	address netip.AddrPort
	public  *url.URL // what browsers open, if not the address
	token   string
	log     string
	client  *http.Client
}

// freePort checks that a port is free, or finds one.
func freePort(address string, port int) (int, error) {
	listen := port
	if port == AnyPort {
		listen = 0
	}
	l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(listen)))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		by, remedy := "", ""
		if at := jupyterAt(address, port); at != "" {
			by, remedy = " by Jupyter, perhaps by a lab that still runs", "open "+at+" (the terminal that it was started in has the "+
				"address with the token), or end it there with Ctrl-C, or "
		}
		return 0, fmt.Errorf("lab: port %d %w%s; %schoose another with --port", port, ErrPortInUse, by, remedy)
	case err != nil:
		return 0, fmt.Errorf("lab: listen on port %d of %s: %w", port, address, err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// jupyterAt returns the address of the JupyterLab that has the port, or "" if something else has
// it.
func jupyterAt(address string, port int) string {
	at := &url.URL{Scheme: "http", Host: net.JoinHostPort(address, strconv.Itoa(port)), Path: "/api"}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	response, err := client.Get(at.String())
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	// It tells its version without a token, and nothing else.
	var answer struct{ Version string }
	if json.NewDecoder(io.LimitReader(response.Body, 1<<10)).Decode(&answer) != nil || answer.Version == "" {
		return ""
	}
	at.Path = "/lab"
	return at.String()
}

// serverAddress is the variable that panel.ServerAddress looks at.
const serverAddress = "UDPKIT_SERVER_ADDRESS"

// startJupyter starts JupyterLab and returns when it answers.
func startJupyter(ctx context.Context, env *Env, cfg Config, port int) (*jupyter, error) {
	address, err := netip.ParseAddr(cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	j := &jupyter{
		token:  cfg.Token,
		log:    filepath.Join(env.Jupyter, "jupyterlab.log"),
		client: &http.Client{Transport: &http.Transport{}}, // never by way of a proxy
	}
	if j.token == "" {
		j.token = rand.Text()
	}
	reach := address
	if address.IsUnspecified() {
		reach = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	j.address = netip.AddrPortFrom(reach, uint16(port))
	if j.public, err = cfg.public(); err != nil {
		return nil, err
	}
	log, err := os.Create(j.log)
	if err != nil {
		return nil, fmt.Errorf("lab: open JupyterLab's log: %w", err)
	}
	defer log.Close()
	args := []string{"-m", "jupyterlab", "--ServerApp.ip=" + address.String(), "--ServerApp.port=" + strconv.Itoa(port)}
	if os.Getuid() == 0 {
		args = append(args, "--allow-root") // Jupyter refuses to run as root otherwise
	}
	if j.public == nil {
		j.public = codespace(port)
	}
	if j.public != nil {
		// A proxy may call it by any name. What a browser asks for comes from the public one, or,
		// as a codespace's proxy says, from localhost.
		args = append(args, "--ServerApp.allow_remote_access=True", fmt.Sprintf("--ServerApp.allow_origin_pat=(%s|https?://localhost:%d)$",
			regexp.QuoteMeta(j.public.String()), port))
	} else {
		args = append(args, "--ServerApp.allow_remote_access=False") // a name that some web page made point here is refused
	}
	cmd := exec.Command(env.Python, args...)
	cmd.Dir = env.Repository
	cmd.Env = append(env.Environ, "JUPYTER_TOKEN="+j.token) // an argument would show in the list of processes
	if cfg.Join.IsValid() {
		cmd.Env = append(cmd.Env, serverAddress+"="+cfg.Join.String())
	}
	cmd.Stdout, cmd.Stderr = log, log
	end := step(cfg.Stdout, "Starting JupyterLab")
	if j.process, err = startProcess(cmd); err != nil {
		end(err)
		return nil, fmt.Errorf("%w: %w", ErrJupyter, err)
	}
	err = j.waitReady(ctx)
	end(err)
	if err != nil {
		j.stop()
		return nil, err
	}
	return j, nil
}

// waitReady polls until JupyterLab answers.
func (j *jupyter) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := j.call(ctx, http.MethodGet, "/api/status", nil, nil)
		if err == nil {
			return nil
		}
		select {
		case <-j.process.done:
			return j.died()
		case <-ctx.Done():
			return fmt.Errorf("%w: no answer within %s: %w (its log: %s)", ErrJupyter, startTimeout, ctx.Err(), j.log)
		case <-tick.C:
		}
	}
}

// died says how JupyterLab ended by itself.
func (j *jupyter) died() error {
	log, _ := os.ReadFile(j.log)
	return fmt.Errorf("%w: %w: the end of its log (%s):\n%s", ErrJupyter, errors.Join(j.process.err), j.log, lastLines(string(log), 8))
}

// url is the address of a page, token included.
func (j *jupyter) url(path string) string {
	at := url.URL{Scheme: "http", Host: j.address.String()}
	if j.public != nil {
		at = *j.public
	}
	at.Path, at.RawQuery = path, "token="+url.QueryEscape(j.token)
	return at.String()
}

// call makes one request to JupyterLab's API.
func (j *jupyter) call(ctx context.Context, method, path string, body, result any) error {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return fmt.Errorf("encode: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, (&url.URL{Scheme: "http", Host: j.address.String(), Path: path}).String(), bytes.NewReader(data))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "token "+j.token)
	response, err := j.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s", method, path, response.Status)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer, result)
}

// layOut stores the workspaces: those that open notebooks side by side, and the one to start with,
// which is wanted, or, if that is none, the index alone. It returns its address.
func (j *jupyter) layOut(ctx context.Context, env *Env, layouts map[string]map[string]any, wanted string) (start string, err error) {
	workspaces := maps.Clone(layouts)
	if env.have([]string{indexNotebook}) {
		workspaces[startWorkspace] = workspace(startWorkspace, []string{indexNotebook})
		wanted = cmp.Or(wanted, startWorkspace)
	}
	for name, layout := range workspaces {
		if err := j.call(ctx, http.MethodPut, "/lab/api/workspaces/"+name, layout, nil); err != nil {
			return "", fmt.Errorf("lab: store the workspace in JupyterLab: %w", err)
		}
	}
	return j.layout(cmp.Or(wanted, "broadcast")), nil
}

// layout is the address of a workspace.
func (j *jupyter) layout(name string) string { return j.url("/lab/workspaces/" + name) }

// workspace lays out the first notebook at the left and the others at the right one above the
// other, in at most three rows: more of them share the rows as tabs.
func workspace(name string, notebooks []string) map[string]any {
	type object = map[string]any
	data := object{"file-browser-filebrowser:cwd": object{"path": workDir}}
	widget := func(name string) string {
		path := workDir + "/" + name
		id := "notebook:" + path
		data[id] = object{"data": object{"path": path, "factory": "Notebook"}}
		return id
	}
	tabs := func(widgets ...string) object {
		return object{"type": "tab-area", "currentIndex": 0, "widgets": widgets}
	}
	first := widget(notebooks[0])
	rows := make([][]string, min(3, len(notebooks)-1))
	for i, name := range notebooks[1:] {
		rows[i%len(rows)] = append(rows[i%len(rows)], widget(name))
	}
	var areas []object
	var sizes []float64
	for _, row := range rows {
		areas = append(areas, tabs(row...))
		sizes = append(sizes, 1/float64(len(rows)))
	}
	dock := tabs(first)
	if len(areas) > 0 {
		right := areas[0]
		if len(areas) > 1 {
			right = object{"type": "split-area", "orientation": "vertical", "sizes": sizes, "children": areas}
		}
		dock = object{"type": "split-area", "orientation": "horizontal", "sizes": []float64{0.5, 0.5}, "children": []object{dock, right}}
	}
	data["layout-restorer:data"] = object{
		"main":          object{"current": first, "dock": dock},
		"left":          object{"collapsed": true, "visible": true, "current": nil, "widgets": []string{"filebrowser"}},
		"right":         object{"collapsed": true, "visible": true, "widgets": []string{}},
		"relativeSizes": []float64{0, 1, 0},
	}
	return object{"data": data, "metadata": object{"id": name}}
}

// stop interrupts the cells that run, asks JupyterLab to shut down, and kills what is left.
func (j *jupyter) stop() {
	j.process.stop(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cellGrace)
		defer cancel()
		j.interrupt(ctx)
		ctx, cancel = context.WithTimeout(context.Background(), serverGrace)
		defer cancel()
		if j.call(ctx, http.MethodPost, "/api/shutdown", nil, nil) != nil {
			terminate(j.process.cmd.Process)
		}
	}, cellGrace+serverGrace)
	j.client.CloseIdleConnections()
}

// interrupt presses the interrupt button of every notebook whose cell runs, and waits until they
// have ended or ctx has.
func (j *jupyter) interrupt(ctx context.Context) {
	type kernel struct {
		ID    string
		State string `json:"execution_state"`
	}
	interrupted := map[string]bool{}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var kernels []kernel
		if j.call(ctx, http.MethodGet, "/api/kernels", nil, &kernels) != nil {
			return
		}
		var requests sync.WaitGroup
		busy := false
		for _, k := range kernels {
			if k.State != "busy" {
				continue
			}
			busy = true
			if !interrupted[k.ID] {
				interrupted[k.ID] = true
				requests.Go(func() { j.call(ctx, http.MethodPost, "/api/kernels/"+url.PathEscape(k.ID)+"/interrupt", nil, nil) })
			}
		}
		requests.Wait()
		if !busy {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
