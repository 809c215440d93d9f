using NablaGen.Hub;

namespace NablaGen.Tests.Hub;

/// <summary>Downloads from a hub that does what it can to spoil them: a final name is given to right files alone.</summary>
public sealed class HubDownloadTests : HubTestBase
{
    private static readonly byte[] Large = HubServer.Bytes(95_000);
    private static readonly byte[] Small = HubServer.Bytes(300, seed: 2);

    [Fact]
    public async Task Files_come_in_parts_at_once_and_are_the_hubs()
    {
        using var server = new HubServer(("config.json", Small), ("google/a b/weights.safetensors", Large), ("empty.txt", []));
        await DownloadAsync(server);
        AssertWhole(server);
        Assert.Equal(10, server.FileRequests.Count(request => request.Path.EndsWith("weights.safetensors", StringComparison.Ordinal)));
        Assert.All(server.FileRequests, request => Assert.InRange(request.To!.Value - request.From!.Value, 0, PartBytes - 1));
        Assert.Equal((95_300, 95_300), (Progress.Total, Progress.Done));
        Assert.Equal(server.Files.Keys.Order(), Progress.Files.Order());
    }

    [Fact]
    public async Task A_dropped_connection_goes_on_where_it_stopped()
    {
        using var server = new HubServer(("a", Large));
        server.Answer = request => request.IsOfFile ? server.Right(request) with { Cut = 3_000 } : null;
        await DownloadAsync(server);
        AssertWhole(server);
        // Ten parts; each begins anew 3,000 bytes on, and no byte is asked for twice.
        Assert.Equal(4, server.FileRequests.Count(request => request.From < PartBytes));
        Assert.Equal(server.FileRequests.Count, server.FileRequests.Select(request => request.From).Distinct().Count());
    }

    [Fact]
    public async Task Bodies_without_a_length_that_end_early_are_taken_up_again()
    {
        using var server = new HubServer(("a", Large));
        server.Answer = request => request.IsOfFile ? server.Right(request) with { Length = -1, Cut = 7_000 } : null;
        await DownloadAsync(server);
        AssertWhole(server);
    }

    [Fact]
    public async Task A_server_that_brings_nothing_is_given_up_and_what_has_come_is_kept()
    {
        using var server = new HubServer(("a", Large));
        server.Answer = request => request is { IsOfFile: true, From: >= PartBytes } ? server.Right(request) with { Cut = 0 } : null;
        Assert.Contains("6 attempts in a row", await FailAsync(server));
        server.Answer = _ => null;
        var before = server.FileRequests.Count;
        await DownloadAsync(server);
        AssertWhole(server);
        Assert.All(server.FileRequests.Skip(before), request => Assert.True(request.From >= PartBytes));
    }

    [Fact]
    public async Task A_silent_server_is_left()
    {
        using var server = new HubServer(("a", Small));
        server.Answer = request => request.IsOfFile ? server.Right(request) with { Silence = TimeSpan.FromMinutes(1) } : null;
        using var client = server.Client(patience: new HubPatience { Attempts = 2, FirstWait = TimeSpan.Zero, Silence = TimeSpan.FromSeconds(0.2) });
        Assert.Contains("nothing came for 0.2 s (2 attempts in a row)", await FailAsync(server, client));
    }

    [Fact]
    public async Task The_token_stays_with_the_hub_when_it_redirects_elsewhere()
    {
        using var other = new HubServer(("a", Large));
        using var server = new HubServer(("a", Large));
        server.Answer = request => request.IsOfFile ? new HubAnswer(302) { Headers = [$"Location: {other.Address.AbsoluteUri.TrimEnd('/')}{request.Path}"] } : null;
        await DownloadAsync(server, server.Client("hf_secret"));
        AssertWhole(server);
        Assert.All(server.Requests, request => Assert.Equal("Bearer hf_secret", request.Authorization));
        Assert.All(other.Requests, request => Assert.Null(request.Authorization));
        // The place is remembered: at most one question a connection.
        Assert.Equal(10, other.FileRequests.Count);
        Assert.InRange(server.FileRequests.Count, 1, 4);
    }

    [Fact]
    public async Task A_redirect_within_the_hub_is_followed_with_the_token()
    {
        using var server = new HubServer(("a", Small));
        server.Answer = request => request.Path.StartsWith("/own/", StringComparison.Ordinal) ? new HubAnswer(307) { Headers = [$"Location: /new{request.Path}"] }
            : request.IsOfFile ? server.Right(request) : null;
        await DownloadAsync(server, server.Client("hf_secret"));
        AssertWhole(server);
        Assert.All(server.Requests, request => Assert.Equal("Bearer hf_secret", request.Authorization));
    }

    [Fact]
    public async Task A_place_that_has_expired_is_asked_for_anew()
    {
        using var other = new HubServer(("a", Large));
        using var server = new HubServer(("a", Large));
        var places = 0;
        server.Answer = request => request.IsOfFile ? new HubAnswer(302) { Headers = [$"Location: {other.Address.AbsoluteUri.TrimEnd('/')}{request.Path}?{++places}"] } : null;
        other.Answer = request => request.Path.EndsWith("?1", StringComparison.Ordinal) && other.FileRequests.Count > 3 ? new HubAnswer(403)
            : other.Right(request with { Path = request.Path.Split('?')[0] });
        using var own = server.Client();
        var repository = await HubListing.FindAsync(own, HubServer.Repository, "main", default);
        await new HubDownload(own, Progress) { PartBytes = PartBytes, Connections = 1 }.RunAsync(repository.Files, Folder.Path, null, default);
        AssertWhole(server);
        Assert.Equal(2, places);
    }

    [Theory]
    [InlineData("Location: file:///etc/passwd", "redirects to \"file:///etc/passwd\", which is not followed")]
    [InlineData("Server: none", "redirects to nowhere")]
    [InlineData("Location: /own/model/resolve/0123456789abcdef0123456789abcdef01234567/a", "redirects more than 8 times")]
    public async Task A_redirect_that_leads_nowhere_good_is_refused(string header, string expected)
    {
        using var server = new HubServer(("a", Small));
        server.Answer = request => request.IsOfFile ? new HubAnswer(302) { Headers = [header] } : null;
        Assert.Contains(expected, await FailAsync(server));
    }

    [Theory]
    [InlineData(401, null, "has nothing of this name for everyone (401)", "set HF_TOKEN")]
    [InlineData(401, "hf_old", "does not take the token in HF_TOKEN (401)", "make a new one")]
    [InlineData(403, null, "refuses it (403)", "set HF_TOKEN")]
    [InlineData(403, "hf_mine", "the token in HF_TOKEN may not read it (403)", "accept its terms at")]
    [InlineData(404, null, "is not there (404)", "own/model")]
    [InlineData(418, null, "answers 418", "127.0.0.1")]
    public async Task A_refusal_says_what_to_do(int status, string? token, params string[] expected)
    {
        using var server = new HubServer(("a", Small));
        server.Answer = request => request.IsOfFile ? new HubAnswer(status) : null;
        var message = await FailAsync(server, server.Client(token));
        Assert.All(expected, part => Assert.Contains(part, message));
        Assert.DoesNotContain(token ?? "\0", message);
        server.Answer = request => new HubAnswer(status);
        Assert.Contains(expected[0], await FailAsync(server, server.Client(token)));
    }

    [Theory]
    [InlineData(429)]
    [InlineData(503)]
    public async Task A_busy_server_is_waited_for_as_long_as_it_asks(int status)
    {
        using var server = new HubServer(("a", Small));
        server.Answer = request => server.Requests.Count(one => one.IsOfFile == request.IsOfFile) < 3
            ? new HubAnswer(status) { Headers = ["Retry-After: 0"] } : null;
        await DownloadAsync(server);
        AssertWhole(server);
        Assert.Contains($"own/model: a: 127.0.0.1 answers {status} (Said): waiting 0 s", Progress.Notes);

        server.Answer = request => request.IsOfFile ? new HubAnswer(status) { Headers = ["Retry-After: 7200"] } : null;
        File.Delete(Folder["a"]);
        Assert.Contains("asks to wait 7200 s", await FailAsync(server));
        server.Answer = request => request.IsOfFile ? new HubAnswer(status) : null;
        Assert.Contains("6 attempts in a row", await FailAsync(server));
    }

    [Fact]
    public async Task A_server_that_gives_no_parts_is_read_by_one_connection()
    {
        using var server = new HubServer(("a", Large), ("b", Small));
        server.Answer = request => request.IsOfFile ? server.Right(request with { From = null }) : null;
        await DownloadAsync(server);
        AssertWhole(server);
        Assert.Contains(Progress.Notes, note => note.StartsWith("the server gives no parts of files", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_cancelled_download_goes_on_where_it_stopped()
    {
        using var server = new HubServer(("a", Large));
        using var stop = new CancellationTokenSource();
        Progress.OnDone = done => { if (done > 40_000) { stop.Cancel(); } };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => DownloadAsync(server, cancellation: stop.Token));
        Assert.Equal(["a.download", "a.download.json"], Left());

        var before = server.FileRequests.Count;
        var space = 0L;
        await DownloadAsync(server, checkSpace: bytes => space = bytes);
        AssertWhole(server);
        var asked = server.FileRequests.Skip(before).Sum(request => request.To!.Value + 1 - request.From!.Value);
        Assert.Equal(space, asked);
        Assert.InRange(asked, 1, Large.Length - 40_000);
    }

    [Fact]
    public async Task A_damaged_beginning_is_fetched_anew()
    {
        using var server = new HubServer(("a", Large));
        using var stop = new CancellationTokenSource();
        Progress.OnDone = done => { if (done > 60_000) { stop.Cancel(); } };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => DownloadAsync(server, cancellation: stop.Token));
        Progress.OnDone = _ => { };
        var bytes = File.ReadAllBytes(Folder["a.download"]);
        File.WriteAllBytes(Folder["a.download"], Array.ConvertAll(bytes, b => (byte)(b ^ 1)));
        await DownloadAsync(server);
        AssertWhole(server);
        Assert.Contains("a: what an earlier run has left of it is damaged: it comes anew", Progress.Notes);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("""{"Hash":"00","Size":95000,"Part":10000,"Got":[1,1,1,1,1,1,1,1,1,1]}""")]
    [InlineData("""{"Hash":"HASH","Size":95000,"Part":10000,"Got":[1,1]}""")]
    [InlineData("""{"Hash":"HASH","Size":95000,"Part":10000,"Got":[-1,20000,1,1,1,1,1,1,1,1]}""")]
    [InlineData("""{"Hash":"HASH","Size":95000,"Part":10000,"Got":[10000,10000,0,0,0,0,0,0,0,0]}""")]
    [InlineData("""{"Hash":"HASH","Size":95000,"Part":10000}""")]
    public async Task A_record_that_does_not_fit_is_not_believed(string state)
    {
        using var server = new HubServer(("a", Large));
        File.WriteAllText(Folder["a.download.json"], state.Replace("HASH", Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Large)), StringComparison.Ordinal));
        File.WriteAllBytes(Folder["a.download"], new byte[12_000]);
        await DownloadAsync(server);
        AssertWhole(server);
    }

    [Fact]
    public async Task What_is_there_is_checked_and_never_written_over()
    {
        using var server = new HubServer(("a", Large), ("b", Small));
        File.WriteAllBytes(Folder["a"], Large);
        await DownloadAsync(server);
        AssertWhole(server);
        Assert.All(server.FileRequests, request => Assert.EndsWith("/b", request.Path));

        byte[] other = [.. Large];
        other[50_000]++;
        foreach (var (bytes, expected) in new[] { (other, "its SHA-256 is"), (Small, "300 bytes, and the hub's has 95000") })
        {
            File.WriteAllBytes(Folder["a"], bytes);
            Assert.Contains(expected, (await Assert.ThrowsAsync<NablaGenException>(() => DownloadAsync(server))).Message);
            Assert.Equal(bytes, File.ReadAllBytes(Folder["a"]));
        }
    }

    [Fact]
    public async Task The_disk_is_looked_at_before_a_byte_comes()
    {
        using var server = new HubServer(("a", Large), ("b", Small));
        var error = await Assert.ThrowsAsync<NablaGenException>(() => DownloadAsync(server, checkSpace: bytes => throw new NablaGenException($"no room for {bytes}")));
        Assert.Equal("no room for 95300", error.Message);
        Assert.Empty(server.FileRequests);
        Assert.Empty(Left());
    }

    [Fact]
    public async Task Two_at_once_into_one_folder_are_not_mixed()
    {
        using var server = new HubServer(("a", Large));
        using var come = new ManualResetEventSlim();
        using var go = new ManualResetEventSlim();
        server.Answer = request =>
        {
            if (request.IsOfFile)
            {
                come.Set();
                go.Wait(TimeSpan.FromSeconds(20));
            }

            return null;
        };
        var first = Task.Run(() => DownloadAsync(server));
        Assert.True(come.Wait(TimeSpan.FromSeconds(20)));
        var error = await Assert.ThrowsAsync<NablaGenException>(() => DownloadAsync(server));
        Assert.EndsWith("another nablagen is downloading into it.", error.Message);
        go.Set();
        await first;
        AssertWhole(server);
    }
}
