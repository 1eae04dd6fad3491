package hallpass

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What `hallpass dev` has.
const (
	devClient, devSecret  = "books", "books-dev-secret"
	devEmail, devPassword = "johndoe@example.com", "password"
)

// service is the URL of a `hallpass dev` that scripts/validators has started.
func service(t *testing.T) string {
	at := os.Getenv("HALLPASS_TEST_SERVICE")
	if at == "" {
		t.Skip("there is no service: scripts/validators go starts one")
	}
	return at
}

func post(t *testing.T, at, bearer string, body any) map[string]any {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, at, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode/100 != 2 {
		t.Fatalf("%s: %d %s %v", at, response.StatusCode, answer, err)
	}
	var told map[string]any
	_ = json.Unmarshal(answer, &told)
	return told
}

func login(t *testing.T, issuer string) string {
	t.Helper()
	told := post(t, issuer+"/auth/login", "", map[string]string{"email": devEmail, "password": devPassword})
	token, ok := told["accessToken"].(string)
	if !ok {
		t.Fatal("no access token")
	}
	return token
}

func logout(t *testing.T, issuer, token string) {
	t.Helper()
	post(t, issuer+"/auth/logout", token, map[string]string{})
}

// within has a moment to become true: nothing is waited for longer.
func within(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not after %v: %s", limit, what)
		}
	}
}

func TestALogoutIsHeardAtOnce(t *testing.T) {
	issuer := service(t)
	for _, lazy := range []bool{false, true} {
		config := Config{Issuer: issuer, Audience: issuer, ClientID: devClient, ClientSecret: devSecret, Lazy: lazy}
		v, err := New(context.Background(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		token := login(t, issuer)
		within(t, 5*time.Second, "the token is accepted", func() bool {
			_, err := v.Verify(context.Background(), token)
			return err == nil
		})
		logout(t, issuer, token)
		within(t, time.Second, "the token is refused", func() bool {
			_, err := v.Verify(context.Background(), token)
			return errors.Is(err, ErrRevoked)
		})
		if !v.Status().IsFresh || v.Status().Revocations == 0 {
			t.Errorf("lazy %v: %+v", lazy, v.Status())
		}
	}
}

func TestAClientThatMayNotFollowIsToldAtOnce(t *testing.T) {
	issuer := service(t)
	config := Config{Issuer: issuer, Audience: issuer, ClientID: devClient, ClientSecret: "wrong"}
	_, err := New(context.Background(), config)
	var refused *statusError
	if !errors.As(err, &refused) || refused.status != http.StatusUnauthorized {
		t.Errorf("%v", err)
	}
	if strings.Contains(err.Error(), "wrong") {
		t.Errorf("the secret is shown: %v", err)
	}
}

// fenced are the blocks of code of one kind in a page.
func fenced(t *testing.T, page, kind string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, rest := range strings.Split(string(text), "```"+kind+"\n")[1:] {
		block, _, _ := strings.Cut(rest, "```")
		blocks = append(blocks, block)
	}
	return blocks
}

func TestTheReadmesServiceHearsOfALogout(t *testing.T) {
	issuer := service(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := listener.Addr().String()
	listener.Close()
	program := quickstart(t, at)
	program.Env = append(os.Environ(), "HALLPASS_ISSUER="+issuer, "HALLPASS_CLIENT_SECRET="+devSecret)
	program.Stderr = os.Stderr
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Process.Kill(); _ = program.Wait() }()
	token := login(t, issuer)
	within(t, 10*time.Second, "the service says hello", func() bool {
		status, body := ask(at, token)
		return status == http.StatusOK && body == "hello 1\n"
	})
	logout(t, issuer, token)
	within(t, time.Second, "the service refuses", func() bool {
		status, body := ask(at, token)
		return status == http.StatusUnauthorized && strings.Contains(body, `"code":"token_revoked"`)
	})
}

// quickstart builds what the README says, but for the address.
func quickstart(t *testing.T, at string) *exec.Cmd {
	t.Helper()
	source := strings.Replace(fenced(t, "README.md", "go")[0], "127.0.0.1:3000", at, 1)
	folder := module(t, map[string]string{"main.go": source})
	goRun(t, folder, "build", "-o", "books", ".")
	return exec.Command(filepath.Join(folder, "books"))
}

// module is a folder with a module that finds this one as the README says.
func module(t *testing.T, files map[string]string) string {
	t.Helper()
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	files["go.mod"] = "module books\n\ngo 1.21\n\n" + strings.Replace(fenced(t, "README.md", "text")[0], "../hallpass/sdks/go", here, 1)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func goRun(t *testing.T, folder string, arguments ...string) {
	t.Helper()
	command := exec.Command(goTool(), arguments...)
	command.Dir = folder
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v: %s", arguments, err, output)
	}
}

// What it does to requests is tried as well: a person, a machine and nobody.
const docsTest = `package books

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
)

func TestRoutes(t *testing.T) {
	issuer := os.Getenv("HALLPASS_TEST_SERVICE")
	v, err := Follow(context.Background(), issuer, issuer, "books-dev-secret")
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	routes := Routes(v, ok, ok, ok)
	for _, want := range []struct {
		path, authorization string
		status              int
	}{
		{"/", "", 401}, {"/", "Bearer x", 401}, {"/", "Bearer " + os.Getenv("TOKEN"), 204}, {"/admin", "Bearer " + os.Getenv("TOKEN"), 204},
		{"/stock", "Bearer " + os.Getenv("TOKEN"), 403},
	} {
		request := httptest.NewRequest(http.MethodGet, want.path, nil)
		if want.authorization != "" {
			request.Header.Set("Authorization", want.authorization)
		}
		recorder := httptest.NewRecorder()
		routes.ServeHTTP(recorder, request)
		if recorder.Code != want.status {
			t.Errorf("%s: %d %s", want.path, recorder.Code, recorder.Body)
		}
	}
}
`

func TestTheSnippetOfTheDocsGuardsRoutes(t *testing.T) {
	t.Setenv("TOKEN", login(t, service(t)))
	snippet := fenced(t, "../../docs/validate.md", "go")[0]
	goRun(t, module(t, map[string]string{"books.go": snippet, "books_test.go": docsTest}), "test", "./...")
}

// goTool is the toolchain that builds this test.
func goTool() string {
	if tool := os.Getenv("HALLPASS_TEST_GO"); tool != "" {
		return tool
	}
	return "go"
}

func ask(at, token string) (int, string) {
	request, err := http.NewRequest(http.MethodGet, "http://"+at, nil)
	if err != nil {
		return 0, ""
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}
