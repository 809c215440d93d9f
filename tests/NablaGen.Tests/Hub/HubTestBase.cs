using NablaGen.Hub;

namespace NablaGen.Tests.Hub;

/// <summary>A folder to download into, and what was told meanwhile.</summary>
public abstract class HubTestBase : IDisposable
{
    private protected const int PartBytes = 10_000;

    private protected TempFolder Folder { get; } = new();

    private protected RecordedProgress Progress { get; } = new();

    /// <summary>Downloads all files of a server.</summary>
    private protected async Task DownloadAsync(HubServer server, HubClient? client = null, Action<long>? checkSpace = null, CancellationToken cancellation = default)
    {
        using var own = client ?? server.Client();
        var repository = await HubListing.FindAsync(own, HubServer.Repository, "main", cancellation);
        await new HubDownload(own, Progress) { PartBytes = PartBytes, Connections = 4 }.RunAsync(repository.Files, Folder.Path, checkSpace, cancellation);
    }

    /// <summary>Downloads what can't be: says why, and that no file has a final name.</summary>
    private protected async Task<string> FailAsync(HubServer server, HubClient? client = null)
    {
        var error = await Assert.ThrowsAnyAsync<NablaGenException>(() => DownloadAsync(server, client));
        Assert.DoesNotContain(server.Files.Keys, path => File.Exists(Folder[path]));
        return error.Message;
    }

    private protected void AssertWhole(HubServer server)
    {
        Assert.All(server.Files, file => Assert.Equal(file.Value, File.ReadAllBytes(Folder[file.Key])));
        Assert.Equal(server.Files.Keys.Order(StringComparer.Ordinal), Left());
    }

    /// <summary>The files in the folder.</summary>
    private protected IEnumerable<string> Left() => Folder.Files.Select(file => Path.GetRelativePath(Folder.Path, file).Replace('\\', '/')).Order(StringComparer.Ordinal);

    public void Dispose()
    {
        Folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected sealed class RecordedProgress : IHubProgress
    {
        private readonly Lock _lock = new();

        public List<string> Notes { get; } = [];

        public List<string> Files { get; } = [];

        public long Done { get; private set; }

        public long Total { get; private set; }

        public Action<long> OnDone { get; set; } = _ => { };

        public void OnStart(long total, long done) => (Total, Done) = (total, done);

        public void OnBytes(long bytes)
        {
            lock (_lock)
            {
                Done += bytes;
                OnDone(Done);
            }
        }

        public void OnCheck(HubFile file)
        {
        }

        public void OnFile(HubFile file)
        {
            lock (_lock)
            {
                Files.Add(file.Path);
            }
        }

        public void OnNote(string note)
        {
            lock (_lock)
            {
                Notes.Add(note);
            }
        }
    }
}
