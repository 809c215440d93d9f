using System.Text.Json;
using NablaGen.Files;

namespace NablaGen.Tests.Files;

public sealed class FileClaimsTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Fact]
    public void One_has_a_row_until_it_gives_it_back()
    {
        using (FileClaims a = new(_folder.Path), b = new(_folder.Path))
        {
            Assert.True(a.TryClaim("0001-x-s1"));
            Assert.False(b.TryClaim("0001-x-s1"));
            Assert.True(b.TryClaim("0001-x-s12"));
            a.Release("0001-x-s1");
            b.Release("0001-x-s12");
            Assert.True(b.TryClaim("0001-x-s1"));
            b.Release("0001-x-s1");
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void Of_many_that_want_a_row_at_once_one_gets_it()
    {
        for (var round = 0; round < 20; round++)
        {
            var name = $"row{round}";
            // The claim of a process that has ended, so that all want to take it over.
            Write(name, 1, ProcessIdentity.Current with { Started = 1 });
            var all = Enumerable.Range(0, 6).Select(_ => new FileClaims(_folder.Path)).ToList();
            var won = 0;
            Parallel.ForEach(all, claims => Interlocked.Add(ref won, claims.TryClaim(name) ? 1 : 0));
            Assert.Equal(1, won);
            all.ForEach(claims => claims.Dispose());
        }
    }

    [Fact]
    public void The_claim_of_a_process_that_has_ended_is_taken_over()
    {
        using FileClaims a = new(_folder.Path), b = new(_folder.Path);
        Write("ended", 1, ProcessIdentity.Current with { Id = int.MaxValue });
        Assert.True(a.TryClaim("ended"));
        Assert.False(b.TryClaim("ended"));
        a.Release("ended");
        Assert.Empty(_folder.Files);
    }

    [Fact]
    public void A_claim_of_another_machine_or_without_an_owner_counts_until_it_is_untouched_for_long()
    {
        Write("far", 1, ProcessIdentity.Current with { Host = "elsewhere", Started = 1 });
        Write("container", 1, ProcessIdentity.Current with { Space = "pid:[1]", Started = 1 });
        File.WriteAllText(Claim("empty", 1), "");
        using FileClaims patient = new(_folder.Path), hasty = new(_folder.Path, TimeSpan.Zero);
        foreach (var name in new[] { "far", "container", "empty" })
        {
            Assert.False(patient.TryClaim(name));
            Assert.False(patient.TryClaim(name));
            // The first look only sees when it was touched last.
            hasty.TryClaim(name);
            Thread.Sleep(1);
            Assert.True(hasty.TryClaim(name) || File.Exists(Claim(name, 2)));
            hasty.Release(name);
        }
    }

    [Fact]
    public void A_claim_that_is_touched_stays()
    {
        Write("far", 1, ProcessIdentity.Current with { Host = "elsewhere" });
        using var hasty = new FileClaims(_folder.Path, TimeSpan.Zero);
        for (var i = 0; i < 3; i++)
        {
            File.SetLastWriteTimeUtc(Claim("far", 1), DateTime.UtcNow.AddHours(i));
            using var fresh = new FileClaims(_folder.Path, TimeSpan.FromMinutes(1));
            Assert.False(fresh.TryClaim("far"));
        }
    }

    [Fact]
    public void A_living_owner_on_this_machine_keeps_its_claim_however_long_it_is_silent()
    {
        Write("slow", 1, ProcessIdentity.Current);
        using var hasty = new FileClaims(_folder.Path, TimeSpan.Zero);
        for (var i = 0; i < 3; i++)
        {
            Assert.False(hasty.TryClaim("slow"));
            Thread.Sleep(2);
        }
    }

    [Fact]
    public void A_stopped_owner_loses_its_claim_and_sees_that_it_has()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "a process is stopped by a signal");
        using var sleeper = System.Diagnostics.Process.Start("sleep", "60");
        var stat = File.ReadAllText($"/proc/{sleeper.Id}/stat");
        var owner = ProcessIdentity.Current with { Id = sleeper.Id, Started = long.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[19]) };
        Write("a", 1, owner);
        using var claims = new FileClaims(_folder.Path, TimeSpan.Zero);
        claims.TryClaim("a");
        Thread.Sleep(2);
        Assert.False(claims.TryClaim("a"));

        System.Diagnostics.Process.Start("kill", ["-STOP", $"{sleeper.Id}"]).WaitForExit();
        Assert.True(SpinWait.SpinUntil(() => owner.State() == ProcessState.Stopped, 10_000));
        Assert.True(claims.TryClaim("a"));
        Assert.True(claims.Holds("a"));
        sleeper.Kill();
        sleeper.WaitForExit();
        Assert.Equal(ProcessState.Ended, owner.State());
    }

    [Fact]
    public void Who_was_taken_for_dead_does_not_hold_its_claim_any_more()
    {
        using FileClaims asleep = new(_folder.Path), other = new(_folder.Path);
        Assert.True(asleep.TryClaim("a"));
        Assert.True(asleep.Holds("a"));
        // As another machine does after three minutes.
        Write("a", 2, ProcessIdentity.Current with { Host = "elsewhere" });
        Assert.False(asleep.Holds("a"));
        asleep.Release("a");
        Assert.Equal([Claim("a", 2)], _folder.Files.Where(file => file.EndsWith(".claim")));
        Assert.False(other.TryClaim("a"));
    }

    [Fact]
    public void A_look_at_a_claim_begins_to_count()
    {
        Write("a", 1, ProcessIdentity.Current with { Host = "elsewhere" });
        using var hasty = new FileClaims(_folder.Path, TimeSpan.Zero);
        hasty.Look("a");
        hasty.Look("nothing");
        Thread.Sleep(2);
        Assert.True(hasty.TryClaim("a"));
    }

    [Fact]
    public void A_claim_that_somebody_removed_is_made_again()
    {
        using FileClaims mine = new(_folder.Path), other = new(_folder.Path);
        Assert.True(mine.TryClaim("a"));
        Directory.Delete(_folder[".claims"], recursive: true);
        Assert.True(mine.Holds("a"));
        Assert.False(other.TryClaim("a"));
        mine.Release("a");
        Assert.True(other.TryClaim("a"));
    }

    public void Dispose() => _folder.Dispose();

    private string Claim(string name, int number) => Path.Combine(_folder.Path, ".claims", $"{name}.{number}.claim");

    private void Write(string name, int number, ProcessIdentity owner)
    {
        Directory.CreateDirectory(_folder[".claims"]);
        File.WriteAllText(Claim(name, number), JsonSerializer.Serialize(owner));
    }
}
