package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// askedByBinder waits for JupyterLab below the path that Binder gives it, and asks for the index
// and the kernels as browsers do, who come by way of another name.
const askedByBinder = `
import time, urllib.request as u
def get(path):
    headers = {"Host": "hub.example.org", "Authorization": "token a-token"}
    return u.urlopen(u.Request("http://127.0.0.1:8888/user/x/" + path, headers=headers), timeout=10).read().decode()
for _ in range(600):
    try:
        get("api/status")
        break
    except ConnectionError:
        pass
    except u.URLError as e:
        if not isinstance(e.reason, ConnectionError): raise
    time.sleep(0.1)
get("lab/tree/my-notebooks/index.ipynb")
print(get("api/kernelspecs"))
`

// assertBinder starts the lab's image as Binder does: with Jupyter's own command, which gets path
// and token, and memory for nothing else.
func assertBinder(t *testing.T, image string) {
	t.Helper()
	docker := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "docker", args...).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	name := fmt.Sprintf("testbinder-%d", os.Getpid())
	docker("run", "--detach", "--name", name, "--network", "none", "--memory", "1g", image, "jupyter", "notebook",
		"--ip=0.0.0.0", "--port=8888", "--NotebookApp.base_url=/user/x/", "--ServerApp.base_url=/user/x/",
		"--NotebookApp.token=a-token", "--ServerApp.token=a-token")
	t.Cleanup(func() {
		out, err := exec.CommandContext(context.Background(), "docker", "rm", "--force", name).CombinedOutput()
		assert.NoError(t, err, string(out))
	})
	kernels := docker("exec", name, "python3", "-c", askedByBinder)
	assert.Contains(t, kernels, "-go_work=/home/udpkit/udp-notebooks")
	docker("exec", name, "jupyter", "execute", "--timeout=60", "my-notebooks/index.ipynb")
}
