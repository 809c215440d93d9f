namespace NablaGen.Hub;

/// <summary>Is told how a download goes, from several threads.</summary>
internal interface IHubProgress
{
    /// <summary>It begins.</summary>
    /// <param name="total">Bytes of all files that are missing.</param>
    /// <param name="done">Bytes of them that are on the disk already.</param>
    void OnStart(long total, long done);

    /// <summary>Bytes have come; a negative number where some were of no use.</summary>
    void OnBytes(long bytes);

    /// <summary>A file's bytes are all there, and its hash is computed.</summary>
    void OnCheck(HubFile file);

    /// <summary>A file is whole and right, and has its name.</summary>
    void OnFile(HubFile file);

    /// <summary>Something happened that a user wonders about: a wait, a file that is fetched anew.</summary>
    void OnNote(string note);
}
