using System.Net;
using System.Threading.Channels;
using NablaGen.Files;

namespace NablaGen.Hub;

/// <summary>
/// Downloads files by several connections at once, each of which fetches a part of a file at a time. What was there when it stopped is there when it
/// goes on. A file has its final name once its hash is right, and never before.
/// </summary>
/// <param name="client">The hub.</param>
/// <param name="progress">Is told how it goes.</param>
internal sealed class HubDownload(HubClient client, IHubProgress progress)
{
    private const int Block = 1 << 17;

    /// <summary>Bytes of a part.</summary>
    public long PartBytes { get; init; } = 16 << 20;

    /// <summary>Connections at once.</summary>
    public int Connections { get; init; } = 8;

    /// <summary>How often it is recorded which bytes are there.</summary>
    public TimeSpan SaveEvery { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Downloads files into a folder; those that are there already are checked.</summary>
    /// <param name="files">The files.</param>
    /// <param name="folder">The folder; it is made.</param>
    /// <param name="checkSpace">Is told how many bytes will be written, before any is.</param>
    /// <param name="cancellation">Stops it; what has come so far stays for the next run.</param>
    /// <exception cref="NablaGenException">A file can't be had or is not what the hub says, or the disk does not take it.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public async Task RunAsync(IReadOnlyList<HubFile> files, string folder, Action<long>? checkSpace, CancellationToken cancellation)
    {
        Check(files, folder);
        using var claims = new FileClaims(folder);
        var open = new List<PartialFile>();
        try
        {
            var there = files.Where(file => File.Exists(file.In(folder))).ToList();
            var missing = files.Except(there).ToList();
            open.AddRange(missing.Select(file => PartialFile.Find(file, file.In(folder), PartBytes)));
            checkSpace?.Invoke(open.Sum(file => file.File.Size - file.Bytes));
            Directory.CreateDirectory(folder);
            if (!claims.TryClaim("download"))
            {
                throw new NablaGenException($"{folder}: another nablagen is downloading into it.");
            }

            progress.OnStart(missing.Sum(file => file.Size), open.Sum(file => file.Bytes));
            foreach (var file in there)
            {
                CheckThere(file, file.In(folder), cancellation);
            }

            await FetchAsync(open, cancellation).ConfigureAwait(false);
        }
        catch (UntrueListingException untrue)
        {
            open.Find(file => file.File == untrue.File)!.Discard();
            throw;
        }
        catch (RangesIgnoredException)
        {
            // A server that gives whole files alone: one connection a file, from its first byte.
            progress.OnNote("the server gives no parts of files: each comes by one connection, and can't go on where it stopped");
            open.ForEach(file => file.Discard());
            claims.Dispose();
            await new HubDownload(client, progress) { PartBytes = long.MaxValue, Connections = Connections, SaveEvery = SaveEvery }
                .RunAsync(files, folder, null, cancellation).ConfigureAwait(false);
        }
        finally
        {
            open.ForEach(file => file.Dispose());
        }
    }

    private static void Check(IReadOnlyList<HubFile> files, string folder)
    {
        foreach (var file in files)
        {
            HubPath.Check(file.Local, file.Repository);
        }

        // On a file system that takes two names for one, one file would be written over the other.
        if (files.GroupBy(file => file.Local, StringComparer.OrdinalIgnoreCase).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new NablaGenException($"{twice.First().Repository}: lists {Line.Key(twice.Key)} more than once: nothing was written.");
        }

        if (files.FirstOrDefault(file => new FileInfo(file.In(folder)) is { Exists: true } there && there.Length != file.Size) is { } other)
        {
            throw new NablaGenException($"{other.In(folder)}: is there already and is another file: {new FileInfo(other.In(folder)).Length} bytes, and the hub's has {other.Size}: "
                + "move it away, or name another folder with --to.");
        }
    }

    private void CheckThere(HubFile file, string path, CancellationToken cancellation)
    {
        progress.OnCheck(file);
        if (file.Hash.Of(path, cancellation) is var found && found != file.Hash)
        {
            throw new NablaGenException($"{path}: is there already and is another file: its {found.Name} is {found.Hex}, and the hub's {file.Hash.Hex}: "
                + "move it away, or name another folder with --to.");
        }

        progress.OnFile(file);
    }

    private async Task FetchAsync(List<PartialFile> files, CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var parts = Channel.CreateUnbounded<FilePart>();
        var left = files.Count;
        foreach (var file in files)
        {
            file.Open();
            if (file.Bytes == file.File.Size)
            {
                Finish(file);
            }
            else
            {
                Enqueue(file);
            }
        }

        var workers = Enumerable.Range(0, left == 0 ? 0 : Connections).Select(_ => Task.Run(() => WorkAsync(), CancellationToken.None)).ToList();
        using (var saver = new Timer(_ => Save(files), null, SaveEvery, SaveEvery))
        {
            try
            {
                await Task.WhenAll(workers).ConfigureAwait(false);
            }
            finally
            {
                await saver.DisposeAsync().ConfigureAwait(false);
                Save(files);
            }
        }

        void Enqueue(PartialFile file)
        {
            foreach (var part in file.Parts.Where(part => part.Got < part.Length))
            {
                parts.Writer.TryWrite(part);
            }
        }

        async Task WorkAsync()
        {
            try
            {
                await foreach (var part in parts.Reader.ReadAllAsync(stop.Token).ConfigureAwait(false))
                {
                    await FetchPartAsync(part, stop.Token).ConfigureAwait(false);
                    if (part.File.TryEnd())
                    {
                        Finish(part.File);
                    }
                }
            }
            catch (Exception error)
            {
                // The others' cancellation must not hide why.
                await stop.CancelAsync().ConfigureAwait(false);
                if (error is not OperationCanceledException || cancellation.IsCancellationRequested)
                {
                    throw;
                }
            }
        }

        void Finish(PartialFile file)
        {
            progress.OnCheck(file.File);
            if (file.Finish(stop.Token) is not { } wrong)
            {
                progress.OnFile(file.File);
                if (Interlocked.Decrement(ref left) == 0)
                {
                    parts.Writer.Complete();
                }
            }
            else if (file.IsResumed)
            {
                progress.OnNote($"{file.File.Path}: what an earlier run has left of it is damaged: it comes anew");
                progress.OnBytes(-file.File.Size);
                file.Discard();
                file.Open();
                Enqueue(file);
            }
            else
            {
                throw new UntrueListingException(file.File, $"what came is not what the hub says: its {wrong.Name} is {wrong.Hex}, expected {file.File.Hash.Hex}");
            }
        }
    }

    private async Task FetchPartAsync(FilePart part, CancellationToken cancellation)
    {
        var failures = 0;
        while (part.Got < part.Length)
        {
            var before = part.Got;
            try
            {
                await ReceiveAsync(part, cancellation).ConfigureAwait(false);
            }
            catch (HubFault fault)
            {
                failures = part.Got > before ? 1 : failures + 1;
                var wait = client.Patience.WaitAfter(fault, failures);
                if (fault.RetryAfter is not null)
                {
                    progress.OnNote($"{fault.Message}: waiting {wait.TotalSeconds:0} s");
                }

                await Task.Delay(wait, cancellation).ConfigureAwait(false);
            }
        }
    }

    // One request's worth of a part: to its end, or as far as the connection lasts.
    private async Task ReceiveAsync(FilePart part, CancellationToken cancellation)
    {
        var file = part.File;
        using var response = await client.GetAsync(file.File, part.From + part.Got, part.To, cancellation).ConfigureAwait(false);
        if (response.StatusCode == HttpStatusCode.OK && part.From + part.Got > 0)
        {
            if (file.Parts.Count > 1)
            {
                throw new RangesIgnoredException();
            }

            progress.OnBytes(-part.Got);
            part.Got = 0;
        }
        else if (response.StatusCode == HttpStatusCode.OK && file.Parts.Count > 1)
        {
            throw new RangesIgnoredException();
        }

        var where = response.RequestMessage!.RequestUri!.Host;
        using var stream = await response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false);
        var buffer = new byte[Block];
        while (true)
        {
            var read = await client.ListeningAsync(wait => stream.ReadAsync(buffer, wait).AsTask(), where, cancellation).ConfigureAwait(false);
            if (read == 0)
            {
                // A body without a length ends where its connection does, too early perhaps.
                if (part.Got < part.Length)
                {
                    throw new HubFault($"{where}: the connection ended after {part.Got} of {part.Length} bytes");
                }

                return;
            }

            if (part.Got + read > part.Length)
            {
                throw new UntrueListingException(file.File, $"its server sends more than the {file.File.Size} bytes of the listing");
            }

            await file.WriteAsync(part, buffer.AsMemory(0, read), cancellation).ConfigureAwait(false);
            progress.OnBytes(read);
        }
    }

    private static void Save(List<PartialFile> files)
    {
        try
        {
            files.ForEach(file => file.Save());
        }
        catch (NablaGenException)
        {
            // Bytes that are not recorded come once more; a disk that takes none ends the work where they are written.
        }
    }

    // The server sends a file from its first byte, whatever was asked for.
    private sealed class RangesIgnoredException : Exception;
}
