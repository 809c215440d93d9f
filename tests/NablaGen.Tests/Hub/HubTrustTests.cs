using System.Text.Json;
using NablaGen.Hub;

namespace NablaGen.Tests.Hub;

/// <summary>What a hub says is not believed before it is seen.</summary>
public sealed class HubTrustTests : HubTestBase
{
    private static readonly byte[] Large = HubServer.Bytes(25_000);

    [Theory]
    [InlineData("another total")]
    [InlineData("416")]
    [InlineData("a whole file of another length")]
    [InlineData("a longer body")]
    [InlineData("other bytes")]
    [InlineData("compressed")]
    public async Task A_file_that_is_not_what_the_listing_says_is_not_kept(string lie)
    {
        using var server = new HubServer(("a", lie == "a longer body" ? Large[..5_000] : Large));
        server.Answer = request => !request.IsOfFile ? null : lie switch
        {
            "another total" => server.Right(request) with { Headers = [$"Content-Range: bytes {request.From}-{request.To}/30000"] },
            "416" => new HubAnswer(416) { Headers = ["Content-Range: bytes */20000"] },
            "a whole file of another length" => new HubAnswer(200) { Body = HubServer.Bytes(24_000) },
            "a longer body" => new HubAnswer(200) { Body = Large, Length = -1 },
            "compressed" => server.Right(request) with { Headers = ["Content-Encoding: gzip", .. server.Right(request).Headers] },
            _ => server.Right(request) with { Body = new byte[server.Part(request).Length] },
        };
        var message = await FailAsync(server);
        Assert.StartsWith("own/model: a: ", message);
        // Nothing is left that a later run could go on with.
        Assert.Empty(Left());
    }

    [Fact]
    public async Task A_small_files_hash_is_gits_and_is_checked()
    {
        using var server = new HubServer(("config.json", HubServer.Bytes(200)));
        server.Answer = request => request.IsOfFile ? server.Right(request) with { Body = new byte[200] } : null;
        Assert.Contains("its Git SHA-1 is", await FailAsync(server));
        Assert.Empty(Left());
    }

    [Fact]
    public async Task Parts_of_other_places_are_not_taken()
    {
        using var server = new HubServer(("a", Large));
        server.Answer = request => request is { IsOfFile: true, From: 0 } ? server.Right(request with { From = 10_000, To = 19_999 }) : null;
        Assert.Contains("bytes 0 to 9999 were asked for", await FailAsync(server));
    }

    [Theory]
    [InlineData("../a")]
    [InlineData("x/../../a")]
    [InlineData("/tmp/a")]
    [InlineData("x//a")]
    [InlineData("./a")]
    [InlineData("..\\a")]
    [InlineData("C:/a")]
    [InlineData("C:a")]
    [InlineData("x/NUL.txt")]
    [InlineData("com1")]
    [InlineData("a.")]
    [InlineData("a\u001b[2J")]
    [InlineData("a\u202e")]
    [InlineData("a.download")]
    [InlineData("x/a.download.json")]
    [InlineData("")]
    public async Task A_path_that_could_lead_elsewhere_is_refused(string path)
    {
        using var server = new HubServer(("fine", Large));
        server.Listing = () => JsonSerializer.Serialize(new[] { HubServer.Entry("fine", Large), HubServer.Entry(path, Large) });
        Assert.Contains("nothing was written", await FailAsync(server));
        Assert.Empty(server.FileRequests);
        Assert.Empty(Left());
    }

    [Fact]
    public async Task Two_names_that_some_systems_take_for_one_are_refused()
    {
        using var server = new HubServer(("x/a", Large), ("x/A", Large));
        Assert.Contains("lists \"x/a\" more than once", await FailAsync(server));
        Assert.Empty(Left());
    }

    [Fact]
    public async Task A_listing_comes_in_pages()
    {
        using var server = new HubServer(("a", Large), ("b", Large));
        server.Answer = request => !request.Path.Contains("/tree/", StringComparison.Ordinal) ? null
            : request.Path.EndsWith("&cursor=2", StringComparison.Ordinal) ? new HubAnswer(200) { Body = JsonSerializer.SerializeToUtf8Bytes(new[] { HubServer.Entry("b", Large) }) }
            : new HubAnswer(200)
            {
                Body = JsonSerializer.SerializeToUtf8Bytes(new[] { HubServer.Entry("a", Large), new { type = "directory", path = "d" } }),
                Headers = [$"Link: <{request.Path}&cursor=2>; rel=\"next\""],
            };
        await DownloadAsync(server);
        AssertWhole(server);
    }

    [Theory]
    [InlineData("""{"error":"no"}""", "is no list of files")]
    [InlineData("[", "is not JSON")]
    [InlineData("""[{"type":"file","path":"a","size":5}]""", "without a size and a hash")]
    [InlineData("""[{"type":"file","path":"a","size":-5,"oid":"0123456789abcdef0123456789abcdef01234567"}]""", "without a size and a hash")]
    [InlineData("""[{"type":"file","path":"a","size":9e99,"oid":"0123456789abcdef0123456789abcdef01234567"}]""", "without a size and a hash")]
    [InlineData("""[{"type":"file","path":"a","size":5,"oid":"xyz"}]""", "without a size and a hash")]
    [InlineData("""[{"type":"file","path":"a","size":5,"oid":"0123456789abcdef0123456789abcdef01234567","lfs":{"oid":"00","size":5}}]""", "without a size and a hash")]
    [InlineData("""[{"type":"file","size":5}]""", "without a \"path\"")]
    public async Task A_listing_that_is_none_is_refused(string listing, string expected)
    {
        using var server = new HubServer(("a", Large)) { Listing = () => listing };
        Assert.Contains(expected, await FailAsync(server));
    }

    [Fact]
    public async Task A_listing_that_goes_on_elsewhere_is_refused()
    {
        using var server = new HubServer(("a", Large));
        server.Answer = request => request.Path.Contains("/tree/", StringComparison.Ordinal)
            ? new HubAnswer(200) { Body = "[]"u8.ToArray(), Headers = ["Link: <http://127.0.0.2/more>; rel=\"next\""] } : null;
        Assert.Contains("which is not the hub's own", await FailAsync(server));
    }

    [Theory]
    [InlineData("https://huggingface.co/", null)]
    [InlineData("https://hf-mirror.com/", null, "HF_ENDPOINT", "https://hf-mirror.com")]
    [InlineData("https://huggingface.co/", "hf_a", "HF_TOKEN", " hf_a\n", "HUGGING_FACE_HUB_TOKEN", "hf_b")]
    [InlineData("https://huggingface.co/", "hf_b", "HUGGING_FACE_HUB_TOKEN", "hf_b")]
    [InlineData("http://127.0.0.1:8080/", "hf_a", "HF_ENDPOINT", "http://127.0.0.1:8080/", "HF_TOKEN", "hf_a")]
    public void The_environment_says_hub_and_token(string endpoint, string? token, params string[] variables)
    {
        var access = HubAccess.FromEnvironment(name => Array.IndexOf(variables, name) is >= 0 and var at ? variables[at + 1] : null);
        Assert.Equal((endpoint, token), (access.Endpoint.AbsoluteUri, access.Token));
        Assert.DoesNotContain("hf_", access.ToString());
    }

    [Theory]
    [InlineData("'hf-mirror.com' is not a hub's address", "HF_ENDPOINT", "hf-mirror.com")]
    [InlineData("is not a hub's address", "HF_ENDPOINT", "file:///etc")]
    [InlineData("is not a hub's address", "HF_ENDPOINT", "https://me:pass@hub.org")]
    [InlineData("would be sent to it in the open", "HF_ENDPOINT", "http://hub.org", "HF_TOKEN", "hf_a")]
    [InlineData("holds something else than a token", "HF_TOKEN", "hf_a\nb")]
    public void An_environment_that_is_wrong_is_told(string expected, params string[] variables) => Assert.Contains(
        expected,
        Assert.Throws<NablaGenException>(() => HubAccess.FromEnvironment(name => Array.IndexOf(variables, name) is >= 0 and var at ? variables[at + 1] : null)).Message);

    [Theory]
    [InlineData("https://huggingface.co/x", true)]
    [InlineData("https://HuggingFace.co:443/x", true)]
    [InlineData("https://cdn.huggingface.co/x", false)]
    [InlineData("http://huggingface.co/x", false)]
    [InlineData("https://huggingface.co:8443/x", false)]
    [InlineData("https://huggingface.co.evil.org/x", false)]
    public void The_token_is_for_the_hubs_own_addresses(string address, bool expected) =>
        Assert.Equal(expected, new HubAccess(new Uri("https://huggingface.co/"), "hf_a").Owns(new Uri(address)));
}
